import json
import re

import pytest
import ranks
import tiny
import torch
from accelerate import FullyShardedDataParallelPlugin
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText
from trl import ModelConfig

from mmprolong_hf.checkpoints import checkpoints, why_incomplete
from mmprolong_hf.encoding import save_processor
from mmprolong_hf.fsdp import set_up_fsdp
from mmprolong_hf.models import lora_config

LORA = {"use_peft": "true", "lora_r": 4, "lora_dropout": 0.0}
LEVERS = ["--mlp_tile", "8", "--vision_chunk", "32", "--save_attention", "true"]
MLPS, TILES, TOWERS, CHUNKS = COUNTED = [
    "mmprolong_hf.tiled_mlp:_Tiles.__init__",
    "mmprolong_hf.tiled_mlp:_Tiles.compute",
    "mmprolong_hf.vision_tower:_ChunkedForward.__call__",
    "mmprolong_hf.vision_tower:_ChunkedForward._run",
]


def save_tied(folder):
    """The smaller models of both families have one matrix for both ends, which FSDP must not shard twice."""
    config = tiny.config("qwen3_vl")
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    torch.manual_seed(0)
    model = type(tiny.model("qwen3_vl"))._from_config(config)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    model.save_pretrained(folder)
    save_processor(tiny.processor("qwen3_vl"), folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory, root, environment):
    """Runs on one rank, and sharded over two as recipes/accelerate/fsdp2_8gpu.yaml says."""
    folder = tmp_path_factory.mktemp("fsdp")
    tiny.save_checkpoint(folder / "model")
    save_tied(folder / "tied")
    tiny.save_dataset(folder / "dataset", train=tiny.documents())
    every, once = {"max_steps": 3, "save_steps": 2}, {"max_steps": 3, "save_strategy": "no"}
    plain = ranks.options(folder, **every, packs_per_step=4)
    whole = ranks.options(folder, **once, packs_per_step=4)
    tied = ranks.options(folder, **once, model_name_or_path=folder / "tied")
    lora = ranks.options(folder, **once, **LORA)
    sharded = {"config": str(root / "recipes" / "accelerate" / "fsdp2_8gpu.yaml")}
    pulled = sharded | {"counted": COUNTED}
    resume = ["--output_dir", "resumed", "--resume_from_checkpoint", "sharded/checkpoint-2"]
    fault = {"rank": 1, "step": 2, "kind": "largest file", "number": 20_000}
    runs = {
        "one": {"argv": [*plain, "--output_dir", "one"], "ranks": 1, "counted": COUNTED},
        "sharded": {"argv": [*plain, *LEVERS, "--output_dir", "sharded"], **pulled},
        "headless": {"argv": [*whole, "--output_dir", "headless"], **sharded, "without": "_gather_head"},
        "tied_one": {"argv": [*tied, "--output_dir", "tied_one"], "ranks": 1},
        "tied_sharded": {"argv": [*tied, "--output_dir", "tied_sharded"], **sharded},
        "lora_one": {"argv": [*lora, "--output_dir", "lora_one"], "ranks": 1},
        "lora_sharded": {"argv": [*lora, *LEVERS, "--output_dir", "lora_sharded"], **pulled},
        "bfloat16": {"argv": [*whole, *LEVERS, "--bf16", "true", "--output_dir", "bfloat16"], **pulled},
        "resumed": {"argv": [*plain, *LEVERS, *resume], **pulled},
        "failed": {"argv": [*plain, "--output_dir", "failed"], **sharded, "fault": fault},
    }
    results = dict(zip(runs, ranks.run_all(list(runs.values()), folder, environment)))
    for name, result in results.items():
        assert result["codes"] == ([0] * len(result["codes"]) if name != "failed" else [1, 1]), result["output"][
            -3000:
        ]
    return folder, results


def differences(folder, ours, theirs, file="model.safetensors"):
    """The largest difference of losses, relative, and of weights."""
    losses = [[entry[1] for entry in ranks.history(folder / name)] for name in (ours, theirs)]
    weights = [load_file(folder / name / file) for name in (ours, theirs)]
    assert weights[0].keys() == weights[1].keys()
    return (
        max(abs(a / b - 1) for a, b in zip(*losses, strict=True)),
        max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]),
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "file"),
    [
        ("sharded", "one", "model.safetensors"),
        ("tied_sharded", "tied_one", "model.safetensors"),
        ("lora_sharded", "lora_one", "adapter_model.safetensors"),
    ],
)
def test_two_sharded_ranks_train_as_one(world, ours, theirs, file):
    loss, weight = differences(world[0], ours, theirs, file)
    assert loss < 1e-5
    assert weight < 1e-4


@pytest.mark.parametrize("run", ["sharded", "lora_sharded", "bfloat16", "resumed"])
def test_they_do_so_in_tiles_and_chunks(world, run):
    """Guard: in the levers' usual sizes these packs are one tile and one chunk, as on the one rank."""
    _, results = world
    for rank in (0, 1):
        counts = {name: calls(results[run], rank, name) for name in COUNTED}
        assert counts[TILES] > 8 * counts[MLPS] > 0
        assert counts[CHUNKS] > 2 * counts[TOWERS] > 0
    assert calls(results["one"], 0, TOWERS) > calls(results["one"], 0, MLPS) == 0
    assert "the inputs of layers are kept, and attention's outputs" in results[run]["output"]


def calls(result, rank, name):
    found = re.search(rf"rank {rank}: (\d+) calls of {re.escape(name)}$", result["output"], re.MULTILINE)
    return 0 if found is None else int(found[1])


def test_bfloat16_is_near(world):
    loss, _ = differences(world[0], "bfloat16", "one")
    assert 1e-5 < loss < 2e-2


def test_without_a_gathered_head_they_would_not(world):
    """Guard: by TRL's own gathering a rank's part of the head learns from that rank's samples alone."""
    loss, weight = differences(world[0], "headless", "one")
    assert loss > 1e-4
    assert weight > 1e-4


def test_checkpoints_are_sharded_and_the_final_one_loads_in_the_plain_way(world):
    folder, _ = world
    checkpoint = folder / "sharded" / "checkpoint-2"
    assert why_incomplete(checkpoint) is None
    files = json.loads((checkpoint / "complete.json").read_text())["files"]
    parts = [name for name in files if name.endswith(".distcp")]
    assert len(parts) == 4  # of the model and of the optimizer, each rank's
    assert not list(checkpoint.glob("*.safetensors"))
    loaded = AutoModelForImageTextToText.from_pretrained(folder / "sharded")
    assert loaded.dtype == torch.float32
    saved = folder / "again"
    loaded.save_pretrained(saved)
    again = load_file(saved / "model.safetensors")
    trained = load_file(folder / "sharded" / "model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in trained.items())
    adapter = PeftModel.from_pretrained(tiny.model(), folder / "lora_sharded")
    assert any("lora_B" in name and weight.any() for name, weight in adapter.named_parameters())


def test_a_sharded_run_goes_on_exactly(world):
    assert differences(world[0], "resumed", "sharded") == (0, 0)


def test_a_rank_that_cannot_write_its_part_ends_both(world):
    folder, failed = world[0], world[1]["failed"]
    assert failed["seconds"] < 40
    assert "rank 0: RuntimeError: failed/checkpoint-2 could not be written, there is no complete" in failed["output"]
    assert checkpoints(folder / "failed") == []


def plugin(**options):
    usual = {"state_dict_type": "SHARDED_STATE_DICT", "auto_wrap_policy": "transformer_based_wrap"}
    return FullyShardedDataParallelPlugin(fsdp_version=2, **usual | options)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_units_and_precision(family, lora):
    model = tiny.model(family)
    if lora:
        model = get_peft_model(model, lora_config(ModelConfig(use_peft=True)))
    theirs, ours = plugin(), plugin()
    theirs.set_mixed_precision("bf16")
    assert theirs.mixed_precision_policy.reduce_dtype == torch.bfloat16  # guard: this is what is put right
    ours.set_mixed_precision("bf16")
    set_up_fsdp(ours, model, "bf16")
    policy = ours.mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype, policy.output_dtype) == (torch.bfloat16, torch.float32, None)
    ours.set_auto_wrap_policy(model)  # which finds the classes, or raises
    assert len(ours.transformer_cls_names_to_wrap) == 2


@pytest.mark.parametrize("options", [{"state_dict_type": "FULL_STATE_DICT"}])
def test_whole_checkpoints_are_refused(options):
    with pytest.raises(ValueError, match="expected fsdp_version 2 with SHARDED_STATE_DICT, as in recipes/accelerate"):
        set_up_fsdp(plugin(**options), tiny.model(), "no")


BLOCKS = ["Qwen2_5_VLDecoderLayer", "Qwen2_5_VLVisionBlock"]  # as accelerate has them on its own


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (
            {"transformer_cls_names_to_wrap": BLOCKS},
            r"by transformer_auto_wrap_policy, of \['Qwen2_5_VLDecoderLayer', ",
        ),
        ({"auto_wrap_policy": "size_based_wrap"}, "by size_based_auto_wrap_policy, of no class"),
        ({"auto_wrap_policy": "no_wrap"}, "by no policy, of no class"),
    ],
)
def test_other_units_are_refused(options, found):
    with pytest.raises(
        ValueError, match=rf"{found}.*; expected fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP, without"
    ):
        set_up_fsdp(plugin(**options), tiny.model(), "no")


def test_these_units_may_be_named_and_asked_for_again():
    units = ["Qwen2_5_VisionTransformerPretrainedModel", "Qwen2_5_VLDecoderLayer"]
    named, model = plugin(transformer_cls_names_to_wrap=units), tiny.model()
    for _ in range(2):  # by two trainers of one process
        set_up_fsdp(named, model, "no")
        named.set_auto_wrap_policy(model)
    assert set(named.transformer_cls_names_to_wrap) == set(units)
