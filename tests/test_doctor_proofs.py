import pytest
import tiny
import torch
from test_collator import ones_mask
from test_trainer import make_trainer
from trl.trainer.utils import add_fused_lm_head

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.doctor.examination import first_pack
from mmprolong_hf.doctor.observer import StepObserver
from mmprolong_hf.doctor.proofs import check_leaks, check_loss, describe_step


def pack_of(trainer):
    return trainer.data_collator(first_pack(trainer))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_healthy_loss_is_torchs(tmp_path, family):
    trainer = make_trainer(tmp_path, family=family)
    trainer.model.train()
    finding = check_loss(trainer, pack_of(trainer))
    assert finding.state == "ok"
    assert "by torch's cross entropy of" in finding.text
    assert trainer.model.training


def test_another_loss_is_wrong(tmp_path):
    trainer = make_trainer(tmp_path)
    add_fused_lm_head(trainer.model, temperature=1.1)
    finding = check_loss(trainer, pack_of(trainer))
    assert finding.state == "wrong"
    assert "expected the same to 1e-05; install the tested trl" in finding.text


def test_a_pack_without_targets_has_no_loss(tmp_path):
    trainer = make_trainer(tmp_path)
    pack = pack_of(trainer)
    pack["labels"][:] = -100
    assert check_loss(trainer, pack).state == "note"


def test_healthy_samples_see_nothing_of_each_other(tmp_path):
    finding = check_leaks(make_trainer(tmp_path))
    assert (finding.state, finding.text[:31]) == ("ok", "see each other by 0.0e+00 of wh")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_leak_names_the_attention(tmp_path, attention):
    trainer = make_trainer(tmp_path, model=tiny.model(attention=attention))
    collate = trainer.data_collator
    trainer.data_collator = lambda rows: ones_mask(collate(rows))
    finding = check_leaks(trainer)
    assert finding.state == "wrong"
    assert "samples that share a pack see each other" in finding.text
    assert f"Attention is '{attention}'" in finding.text


def test_a_pack_of_one_sample_cannot_leak(tmp_path):
    trainer = make_trainer(tmp_path, packs_per_step=1)
    trainer.train_dataset = trainer.train_dataset.select([0, len(trainer.train_dataset) // 2])
    assert check_leaks(trainer).state == "note"


def step(**counts):
    seen = StepObserver()
    healthy = {
        "attention_forward": 4,
        "attention_again": 4,
        "layers_again": 2,
        "_tile_rows": 9,
        "supervised": 9,
        "tokens": 90,
    }
    vars(seen).update(
        healthy | {"mlp_rows": 64, "vision_patches": 40, "largest_image": 30, "pixel_dtype": torch.uint8} | counts
    )
    args = MMProLongConfig(
        output_dir="",
        use_cpu=True,
        bf16=False,
        mlp_tile=64,
        vision_chunk=40,
        packs_per_step=1,
        dataloader_num_workers=1,
    )
    active = dict.fromkeys(("Liger", "gradient checkpointing", "MLPs", "vision tower"), "as asked")
    return {finding.what: finding for finding in describe_step(seen, args, active)}


def test_a_step_as_asked_for():
    assert {finding.state for finding in step().values()} == {"ok"}
    assert "uint8, normalised on the device" in step()["vision tower"].text


@pytest.mark.parametrize(
    ("part", "state", "counts"),
    [
        ("gradient checkpointing", "wrong", {"attention_again": 0}),
        ("gradient checkpointing", "wrong", {"layers_again": 0}),
        ("gradient checkpointing", "note", {"attention_forward": 0}),
        ("MLPs", "wrong", {"mlp_rows": 65}),
        ("vision tower", "wrong", {"vision_patches": 41}),
        ("vision tower", "ok", {"vision_patches": 50, "largest_image": 50}),
        ("vision tower", "note", {"pixel_dtype": None}),
        ("loss head", "note", {"_tile_rows": 89}),
    ],
)
def test_what_is_not_as_asked_is_told(part, state, counts):
    found = step(**counts)
    assert found.pop(part).state == state
    assert {finding.state for finding in found.values()} == {"ok"}
