"""What is published of a folder that the trainer wrote, and everything that keeps it from being published."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file
from trained import copied, linked
from transformers import AutoModelForImageTextToText

from mmprolong_hf.hub.model_files import find_checkpoint
from mmprolong_hf.old_readers import write_for_old_readers
from mmprolong_hf.rope import write_both_formats

DESCRIPTION = {
    "config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
    "recipe.yaml",
    "chat_template.jinja",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = linked(tmp_path_factory.mktemp("files"))
    sharded = copied(folder / "full", folder / "sharded", "model.safetensors")
    AutoModelForImageTextToText.from_pretrained(folder / "full").save_pretrained(sharded, max_shard_size="200KB")
    write_both_formats(sharded)
    return folder


def test_a_checkpoint_and_an_output_folder_give_the_same_files(world):
    for folder in (world / "full", world / "full" / "checkpoint-2"):
        found = find_checkpoint(folder)
        assert set(found.names) == {*DESCRIPTION, "model.safetensors", "generation_config.json"}
        assert not found.is_adapter
    assert {"optimizer.pt", "rng_state.pth", "training_args.bin", "complete.json"} <= {
        path.name for path in (world / "full" / "checkpoint-2").iterdir()
    }
    assert find_checkpoint(world / "full" / "checkpoint-1").record["step"] == 1


def test_an_adapter_goes_with_the_config_of_its_extended_base(world):
    found = find_checkpoint(world / "lora")
    assert found.is_adapter
    assert set(found.names) == {*DESCRIPTION, "adapter_model.safetensors", "adapter_config.json"}


def test_all_shards_and_their_index(world):
    names = find_checkpoint(world / "sharded").names
    assert len([name for name in names if name.startswith("model-0000")]) > 2
    assert "model.safetensors.index.json" in names
    assert "model.safetensors" not in names


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def edit(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in (content | changes).items() if value is not None}))


def text_config(folder, **changes):
    text = json.loads((folder / "config.json").read_text())["text_config"]
    edit(folder / "config.json", text_config=text | changes)


def lose_a_tensor(folder):
    shard = sorted(folder.glob("model-0*.safetensors"))[0]
    save_file(dict(list(load_file(shard).items())[1:]), shard)


BROKEN = {
    "a shard is gone": ("sharded", lambda f: next(f.glob("model-00002*")).unlink(), r"has no model-00002-of-\d+\.safetensors, but model\.safetensors\.index\.json names \d+ files"),
    "a shard is cut": ("sharded", lambda f: cut(next(f.glob("model-00002*"))), r"model-00002-of-\d+\.safetensors cannot be read .*cut short"),
    "a shard of another saving": ("sharded", lose_a_tensor, r"does not hold .* \(1 such\), which .* of different savings"),
    "the index is torn": ("sharded", lambda f: (f / "model.safetensors.index.json").write_text("{"), "is no index of weights"),
    "two kinds of weights": ("sharded", lambda f: shutil.copy(next(f.glob("model-00001*")), f / "model.safetensors"), "holds both model.safetensors and"),
    "the weights are cut": ("full", lambda f: cut(f / "model.safetensors"), r"model\.safetensors cannot be read .*cut short or no safetensors"),
    "the weights are empty": ("full", lambda f: save_file({}, f / "model.safetensors"), "holds no weights, expected those of the model"),
    "only a pickle": ("full", lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), r"holds no model\.safetensors .*found pytorch_model\.bin, training_args\.bin.*expected weights in safetensors"),
    "an adapter without weights": ("lora", lambda f: (f / "adapter_model.safetensors").unlink(), r"has adapter_config\.json but no adapter_model\.safetensors"),
    "adapter and model": ("lora", lambda f: (f / "model.safetensors").touch(), r"holds an adapter and model\.safetensors, expected one"),
    "no generation config": ("full", lambda f: (f / "generation_config.json").unlink(), r"has no generation_config\.json, which a training of this version writes"),
    "no tokenizer": ("lora", lambda f: (f / "tokenizer.json").unlink(), r"has no tokenizer\.json, which a training"),
    "an earlier version's": ("full", lambda f: (f / "training.json").unlink(), r"has no training\.json, which .*\(--resume_from_checkpoint last\)"),
    "no chat template": ("full", lambda f: (f / "chat_template.jinja").unlink(), r"has no chat template \(chat_template\.jinja\)"),
    "other limits": ("full", lambda f: edit(f / "preprocessor_config.json", max_pixels=784), r"max_pixels is 784 as transformers 5 reads preprocessor_config\.json, and 784 as 4 does, but training had 12544"),
    "no limits for transformers 4": ("full", lambda f: edit(f / "preprocessor_config.json", min_pixels=None), r"min_pixels is 784 as .* and None as 4 does"),
    "another family": ("full", lambda f: edit(f / "config.json", model_type="qwen2"), "is of a 'qwen2' model, expected one of: qwen2_5_vl, qwen3_vl"),
    "formats that differ": ("full", lambda f: text_config(f, rope_theta=1e6), r"has rope_parameters .* for transformers 5 and .*1000000\.0.* for transformers 4, expected the same"),
    "one format": ("full", lambda f: text_config(f, rope_scaling=None), "expected the same in both"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused(world, tmp_path, name):
    source, damage, message = BROKEN[name]
    folder = copied(world / source, tmp_path / "broken")
    find_checkpoint(folder)
    damage(folder)
    with pytest.raises(ValueError, match=message):
        find_checkpoint(folder)


def test_an_incomplete_checkpoint_is_refused(world, tmp_path):
    folder = shutil.copytree(world / "full" / "checkpoint-2", tmp_path / "checkpoint-2")
    (folder / "complete.json").unlink()
    with pytest.raises(ValueError, match=r"has no complete\.json.*: it is incomplete, publish an earlier checkpoint"):
        find_checkpoint(folder)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no folder; name the output_dir of a training"):
        find_checkpoint(tmp_path / "nowhere")


def test_what_a_later_save_took_away_can_be_written_again(world, tmp_path):
    folder = copied(world / "full", tmp_path / "again")
    edit(folder / "preprocessor_config.json", min_pixels=None, max_pixels=None)
    write_for_old_readers(folder)
    find_checkpoint(folder)
