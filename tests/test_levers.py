"""levers.py: a step with all levers is the step without them, and what is active is told."""

import pytest
import tiny
import torch
from datasets import Dataset
from peft import LoraConfig
from test_trainer import SGD, largest_difference, make_trainer, weights
from trl import ModelConfig

from mmprolong_hf.attention import KERNELS, kernel_for
from mmprolong_hf.levers import LEVERS
from mmprolong_hf.models import LANGUAGE_LINEARS, lora_config
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES

OFF = {"attention_kernel": "sdpa", "liger_kernels": "off", "mlp_tile": None, "vision_chunk": None}
ON = {"attention_kernel": "auto", "liger_kernels": "auto", "mlp_tile": 8, "vision_chunk": 32}
OPTIONS = SGD | {"share_documents": True, "max_length": 1024, "packs_per_step": 2}
LORA = ModelConfig(use_peft=True, lora_dropout=0.0)


def step(folder, family, lora, **options):
    """The loss and the weights after all documents in one step of plain SGD."""
    extra = {"peft_config": lora_config(LORA)} if lora else {}
    trainer = make_trainer(folder, family=family, **OPTIONS | extra | options)
    trainer.train()
    (entry,) = (entry for entry in trainer.state.log_history if "loss" in entry)
    return trainer, entry["loss"], weights(trainer.model)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("lora", [False, True])
def test_a_step_with_all_levers_is_the_step_without(tmp_path, family, lora):
    _, loss, expected = step(tmp_path, family, lora, gradient_checkpointing=False, **OFF)
    for options in (
        {"gradient_checkpointing": False},
        {"gradient_checkpointing": True},
        {"gradient_checkpointing": True, "save_attention": True},
    ):
        trainer, ours, moved = step(tmp_path, family, lora, **ON | options)
        assert trainer.active["MLPs"] == "8 tokens at a time"
        assert ours == pytest.approx(loss, rel=1e-6)
        assert largest_difference(moved, expected) <= 1e-5


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_tower_that_is_saved_beside_adapters_is_trained(tmp_path, family):
    adapters = LoraConfig(r=4, target_modules=LANGUAGE_LINEARS, modules_to_save=["visual"])
    trainer = make_trainer(tmp_path, family=family, peft_config=adapters, **OPTIONS)
    before = weights(trainer.model)
    trainer.train()
    moved = {name for name, weight in weights(trainer.model).items() if not torch.equal(weight, before[name])}
    assert any("visual.modules_to_save" in name and "blocks" in name for name in moved)


def test_what_is_active_is_told(tmp_path):
    trainer = make_trainer(tmp_path, **OPTIONS, save_attention=True)
    assert trainer.active["attention"].startswith("packed_attention by cpu: ")
    assert trainer.active["Liger"] == "off: they need a CUDA device, and the model is on cpu"
    assert trainer.active["MLPs"] == "8,192 tokens at a time"
    assert trainer.active["vision tower"] == "8,192 patches at a time, windows of a size attend in one call of torch's"
    assert (
        trainer.active["gradient checkpointing"]
        == "the inputs of layers are kept, and attention's outputs on the device"
    )


def test_what_was_asked_for_and_cannot_be_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="attention_kernel is 'cudnn', but cudnn: not usable"):
        make_trainer(tmp_path, **OPTIONS, attention_kernel="cudnn")
    with pytest.raises(ValueError, match=r"Liger rms_norm: off: they need a CUDA device.*mend that"):
        make_trainer(tmp_path, **OPTIONS, liger_kernels="on")
    alone = OPTIONS | {"share_documents": False, "model": tiny.model(attention="sdpa")}
    with pytest.raises(
        ValueError, match="attention_kernel is 'sdpa', but attn_implementation is 'sdpa', which chooses"
    ):
        make_trainer(tmp_path, **alone, attention_kernel="sdpa")
    for name in ("mlp_tile", "vision_chunk"):
        with pytest.raises(ValueError, match=f"{name} is 0, expected at least 1"):
            make_trainer(tmp_path, **OPTIONS, **{name: 0})


def test_a_second_trainer_of_a_model_changes_nothing_and_other_levers_are_refused(tmp_path):
    first = make_trainer(tmp_path, **OPTIONS)
    again = make_trainer(tmp_path, **OPTIONS, model=first.model)
    assert again.active == first.active
    with pytest.raises(ValueError, match=r"'mlp_tile': 8192.*'mlp_tile': 4.*load it anew"):
        make_trainer(tmp_path, **OPTIONS, model=first.model, mlp_tile=4)
    assert set(LEVERS) == {*OFF, "save_attention"}


def test_a_second_trainer_with_other_pixels_or_types_is_refused(tmp_path):
    first = make_trainer(tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match=r"'dtype': torch.float32.*'dtype': torch.bfloat16.*load it anew"):
        make_trainer(tmp_path, **OPTIONS, model=first.model, bf16=True)
    other = tiny.processor()
    other.image_processor.image_mean = [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match=r"'image processor': '[0-9a-f]{16}'.*load it anew"):
        make_trainer(tmp_path, **OPTIONS, model=first.model, processor=other)


def test_checkpointing_of_an_earlier_trainer_is_turned_off(tmp_path):
    first = make_trainer(tmp_path, **OPTIONS, gradient_checkpointing=True)
    first.train()
    assert first.model.is_activation_checkpointing
    second = make_trainer(tmp_path, **OPTIONS, gradient_checkpointing=False, model=first.model)
    second.train()
    assert not second.model.is_activation_checkpointing
    assert second.active["gradient checkpointing"] == "off"


def test_each_trainer_trains_by_its_own_kernel(tmp_path):
    first = make_trainer(tmp_path, **OPTIONS, attention_kernel="sdpa")
    make_trainer(tmp_path, **OPTIONS)
    assert kernel_for(torch.zeros(1)) is KERNELS["cpu"]
    first.train()
    assert kernel_for(torch.zeros(1)) is KERNELS["sdpa"]


def test_the_vision_tower_alone_is_trained_on_rows_with_and_without_pages(tmp_path):
    rows = list(tiny.documents(3))
    text = {"question": "Why? " * 12, "evidence_pages": [], "evidence_quotes": [], "evidence_boxes": []}
    rows[1] |= {"images": [], "page_sizes": [], "page_tokens": [], "questions": [rows[1]["questions"][0] | text]}
    documents = Dataset.from_list(rows, features=DOCUMENT_FEATURES)
    options = OPTIONS | {"max_length": 85, "packs_per_step": 1, "gradient_checkpointing": False}
    trainer = make_trainer(tmp_path, documents=documents, freeze_language_model=True, **options | {"max_steps": -1})
    packs = list(trainer.get_train_dataloader())
    assert {"pixel_values" in pack for pack in packs} == {True, False}
    before = weights(trainer.model)
    trainer.train()
    moved = {name for name, weight in weights(trainer.model).items() if not torch.equal(weight, before[name])}
    assert moved
    assert all(".visual." in name for name in moved)
