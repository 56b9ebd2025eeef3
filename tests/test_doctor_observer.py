"""What is counted follows the levers, and nothing of the counting stays."""

import pytest
import tiny
from test_trainer import ATTENTION, make_trainer
from trl import ModelConfig

from mmprolong_hf.doctor.observer import StepObserver
from mmprolong_hf.models import lora_config
from mmprolong_hf.trainer import MMProLongTrainer

PLAIN = {"max_steps": 2, "gradient_checkpointing": False, "mlp_tile": None, "vision_chunk": None}


def observed(folder, **options) -> tuple[StepObserver, MMProLongTrainer]:
    trainer = make_trainer(folder, **PLAIN | options)
    seen = StepObserver()
    trainer.add_callback(seen)
    trainer.train()
    return seen, trainer


@pytest.mark.parametrize(("family", "share_documents"), [("qwen2_5_vl", True), ("qwen3_vl", False)])
def test_attention_is_counted_forward_and_again(tmp_path, family, share_documents):
    options = {"family": family, "share_documents": share_documents}
    plain, _ = observed(tmp_path, **options)
    checkpointed, _ = observed(tmp_path, gradient_checkpointing=True, **options)
    saved, _ = observed(tmp_path, gradient_checkpointing=True, save_attention=True, **options)
    calls = plain.attention_forward
    assert calls > 0
    assert (plain.attention_again, plain.layers_again) == (0, 0)
    assert (checkpointed.attention_forward, checkpointed.attention_again) == (calls, calls)
    assert (saved.attention_forward, saved.attention_again) == (calls, 0)
    assert checkpointed.layers_again == saved.layers_again == 2 * 2  # two packs, two layers


def test_tiles_chunks_and_pixels_are_seen(tmp_path):
    plain, _ = observed(tmp_path)
    tiled, _ = observed(tmp_path, mlp_tile=32, vision_chunk=48)
    assert plain.mlp_rows > 32
    assert tiled.mlp_rows == 32
    assert tiled.vision_patches < plain.vision_patches
    assert tiled.vision_patches <= max(48, tiled.largest_image)
    assert tiled.pixel_dtype == plain.pixel_dtype is not None


def test_the_head_is_seen_on_every_position_of_a_cpu(tmp_path):
    seen, trainer = observed(tmp_path)
    first = next(entry for entry in trainer.state.log_history if "supervised_tokens" in entry)
    assert (seen.supervised, seen.tokens) == (first["supervised_tokens"], first["num_tokens"])
    assert seen.supervised / 2 <= seen.most_supervised < seen.supervised
    assert seen.head_rows == seen.tokens - 2  # of two packs, the last position has no target


def test_the_head_of_a_large_vocabulary_is_computed_in_tiles(tmp_path):
    seen, _ = observed(tmp_path, model=tiny.model(attention=ATTENTION, vocab_size=70_000))
    assert seen.head_rows == seen.tokens - 2


def test_the_second_step_and_the_model_are_left_alone(tmp_path):
    seen, trainer = observed(tmp_path)
    counted = vars(seen).copy()
    trainer.train()
    assert seen.attention_forward == 2 * counted["attention_forward"]  # the first step of the second run, and no more
    assert not any(
        "StepObserver" in repr(hook) for m in trainer.model.modules() for hook in m._forward_pre_hooks.values()
    )


def test_adapters_change_nothing_of_it(tmp_path):
    peft = lora_config(ModelConfig(use_peft=True, lora_r=2))
    seen, _ = observed(tmp_path, peft_config=peft, gradient_checkpointing=True)
    assert seen.attention_forward == seen.attention_again > 0
    assert seen.mlp_rows > 0 < seen.vision_patches


def test_a_step_that_fails_leaves_no_hook(tmp_path):
    trainer, seen = make_trainer(tmp_path, **PLAIN), StepObserver()
    hooks = sum(len(m._forward_pre_hooks) for m in trainer.model.modules())
    seen.on_step_begin(trainer.args, trainer.state, None, model=trainer.model)
    assert sum(len(m._forward_pre_hooks) for m in trainer.model.modules()) > hooks
    seen.close()
    assert sum(len(m._forward_pre_hooks) for m in trainer.model.modules()) == hooks
