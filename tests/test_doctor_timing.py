import pytest
from test_trainer import make_trainer

from mmprolong_hf.architecture import QWEN2_5_VL_7B
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.doctor.timing import Timing, cost_of_recomputing, packs_of_step, sizes_of, time_steps
from mmprolong_hf.estimate import CostModel
from mmprolong_hf.planning import parts_of

A = QWEN2_5_VL_7B


def test_the_steps_are_those_of_the_trainer(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=3)
    timing = time_steps(trainer)
    steps = [entry for entry in trainer.state.log_history if "tokens_per_second" in entry]
    parts = parts_of(trainer.train_dataset, trainer.args)
    tokens, pairs, patches = sizes_of(parts, [pack for step in (1, 2) for pack in packs_of_step(trainer, step)])
    assert timing.tokens == tokens == steps[2]["num_tokens"] - steps[0]["num_tokens"]
    assert timing.questions == sum(entry["questions"] for entry in steps[1:])
    assert timing.total == pytest.approx(sum(timing.seconds))
    assert len(timing.seconds) == 2
    assert len(timing.losses) == 3
    assert timing.peak_bytes is None
    assert min(tokens, pairs, patches) > 0
    assert timing.flops > timing.again > 0  # gradient checkpointing is on by default


def test_utilization_is_of_the_peak():
    timing = Timing(9.0, [1.0, 3.0], 100, 2, 0.0, flops=2e12, again=1e12, losses=[1.0] * 3, peak_bytes=None)
    assert timing.utilization(1.0) == (0.5, 0.75)


def test_packs_go_on_in_the_next_epoch(tmp_path):
    trainer = make_trainer(tmp_path)
    plan = trainer.plan(trainer.train_dataset)
    assert packs_of_step(trainer, 0) == plan.packs(0)[:2]
    assert packs_of_step(trainer, plan.steps_per_epoch) == plan.packs(1)[:2]


def again(lora=False, **options):
    options = {"use_cpu": True, "bf16": False, "packs_per_step": 1, "mlp_tile": None, "vision_chunk": None} | options
    return cost_of_recomputing(A, MMProLongConfig(output_dir="", **options), page=4144, lora=lora, longest=1000)


def test_checkpointing_makes_one_more_forward_pass():
    """A third of full training's model FLOPs, beside the scores that a fused backward pass computes again."""
    cost = CostModel.of(A, patches_per_image=4144)
    once = again()
    scores = 2 * A.num_layers * A.num_heads * A.head_dim
    assert once.token == cost.token / 3
    assert once.pair == cost.pair / 3 + scores
    assert once.patch == pytest.approx(cost.patch / 3)
    assert again(save_attention=True) == CostModel(once.token, scores, once.patch)
    assert again(lora=True).patch == again(freeze_vision_tower=True).patch == 0


def test_without_checkpointing_tiles_and_chunks_cost():
    none = again(gradient_checkpointing=False)
    assert (none.token, none.patch) == (0, 0)
    assert again(gradient_checkpointing=False, mlp_tile=1000).token == 0  # no row is longer
    mlp = 2 * A.num_layers * 3 * A.hidden_size * A.mlp_size
    assert again(gradient_checkpointing=False, mlp_tile=999).token == mlp
    assert again(gradient_checkpointing=False, vision_chunk=64).patch == again().patch
