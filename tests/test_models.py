import shutil

import pytest
import tiny
import torch
from peft import LoraConfig, PeftModel
from test_trainer import make_trainer, weights
from transformers import AutoModelForImageTextToText, Qwen2_5_VLForConditionalGeneration
from trl import ModelConfig

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.models import load_config, load_model, lora_config, merge_adapter


@pytest.mark.parametrize(
    ("flag", "frozen"),
    [
        ("freeze_vision_tower", lambda name: ".visual." in name and "merger" not in name),
        ("freeze_merger", lambda name: "merger" in name),
        ("freeze_language_model", lambda name: ".visual." not in name),
    ],
)
def test_frozen_parts_do_not_move(tmp_path, flag, frozen):
    trainer = make_trainer(tmp_path, max_steps=2, vision_learning_rate=None, **{flag: True})
    before = weights(trainer.model)
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]) == frozen(name), name


def test_lora_trains_and_its_adapter_loads_on_the_extended_base(tmp_path):
    base = tiny.save_checkpoint(tmp_path / "base")
    args = {"extend_context": True, "rope_theta": 4e6, "max_position_embeddings": 131072}
    model = load_model(str(base), MMProLongConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **args))
    adapter = tmp_path / "adapter"
    trainer = make_trainer(
        adapter, model=model, peft_config=LoraConfig(r=4, target_modules=["q_proj", "v_proj"]), max_steps=3
    )
    before = weights(trainer.model)
    trainer.train()
    trainer.save_model()
    moved = {name for name, parameter in trainer.model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved
    assert all("lora_" in name for name in moved)
    config = load_config(str(adapter), MMProLongConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False))
    assert config.text_config.rope_parameters["rope_theta"] == 4e6
    reloaded = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base, config=config), adapter)
    pack = tiny.float_pixels(trainer.processing_class, trainer.data_collator([trainer.train_dataset[0]["sample"]]))
    del pack["labels"]
    with torch.no_grad():
        difference = reloaded.eval()(**pack).logits - trainer.model.eval()(**pack).logits
    assert difference.abs().max() < 1e-5


def test_an_adapter_merges_into_a_checkpoint_of_its_own(tmp_path):
    base = tiny.save_checkpoint(tmp_path / "base")
    args = MMProLongConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, extend_context=True, rope_theta=4e6)
    arguments = ModelConfig(use_peft=True, lora_r=4)
    trainer = make_trainer(
        tmp_path / "adapter", model=load_model(str(base), args), peft_config=lora_config(arguments), max_steps=3
    )
    assert not any(".visual." in name for name, p in trainer.model.named_parameters() if p.requires_grad)
    trainer.train()
    trainer.save_model()
    merge_adapter(tmp_path / "adapter", tmp_path / "merged")
    merged = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / "merged").eval()
    assert merged.config.text_config.rope_parameters["rope_theta"] == 4e6
    pack = tiny.float_pixels(trainer.processing_class, trainer.data_collator([trainer.train_dataset[0]["sample"]]))
    del pack["labels"]
    with torch.no_grad():
        difference = merged(**pack).logits - trainer.model.eval()(**pack).logits
    assert difference.abs().max() < 1e-4
    with pytest.raises(ValueError, match="exists: name a new folder"):
        merge_adapter(tmp_path / "adapter", tmp_path / "merged")
    with pytest.raises(ValueError, match=r"base holds no adapter_config\.json"):
        merge_adapter(base, tmp_path / "other")
    shutil.rmtree(base)
    with pytest.raises(
        ValueError, match=r"the adapter's base: .*base is neither a checkpoint folder nor a model that the Hub gives"
    ):
        merge_adapter(tmp_path / "adapter", tmp_path / "other")


@pytest.mark.parametrize(
    ("modules", "expected"), [(["q_proj"], {"q_proj"}), (["q_proj", "v_proj"], {"q_proj", "v_proj"})]
)
def test_lora_modules_are_taken_as_they_are_named(modules, expected):
    assert set(lora_config(ModelConfig(use_peft=True, lora_target_modules=modules)).target_modules) == expected
    assert lora_config(ModelConfig()) is None


def test_freezing_holds_for_adapters(tmp_path):
    config = LoraConfig(r=4, target_modules="all-linear", exclude_modules=["lm_head"])
    trainer = make_trainer(tmp_path, peft_config=config, max_steps=1, freeze_vision_tower=True, freeze_merger=True)
    trained = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
    assert trained
    assert not any(".visual." in name for name in trained)


def test_freezing_everything_is_an_error(tmp_path):
    flags = {f"freeze_{part}": True for part in ("vision_tower", "merger", "language_model")}
    with pytest.raises(ValueError, match="nothing is left to train"):
        make_trainer(tmp_path, **flags)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"extend_context": True, "rope_theta": 4e6},
            r"rope_theta is 4000000.0, but what was loaded has 1000000.0; .*models",
        ),
        ({"rope_theta": 4e6}, r"rope_theta is 4000000.0, but what was loaded has 1000000.0"),
        ({"max_pixels": 784}, r"max_pixels is 784, but what was loaded has 12544; .*encoding\.load_processor"),
    ],
)
def test_what_only_loading_can_do_is_not_ignored(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, **options)


def test_another_family_is_refused(tmp_path):
    from transformers import Qwen2Config

    Qwen2Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a 'qwen2' model, expected one of: qwen2_5_vl, qwen3_vl"):
        load_model(str(tmp_path), MMProLongConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False))
