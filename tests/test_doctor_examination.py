"""A healthy set-up, and broken ones: what the doctor says of each, and that it leaves nothing behind."""

import json
import os

import pytest
import tiny
import torch
from command_line import mmprolong
from test_collator import ones_mask, text_row_not_restarted
from test_doctor_versions import install
from test_train import RECIPE
from test_trainer import make_trainer

from mmprolong_hf.doctor.examination import check_alone, examine, examine_trainer
from mmprolong_hf.doctor.findings import show


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    tiny.save_checkpoint(folder / "model")
    tiny.save_dataset(folder / "dataset", train=tiny.documents(9))
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder))
    return folder


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_healthy_recipe(world, environment):
    before = files(world)
    done = mmprolong("doctor", "recipe.yaml", "--packs_per_step", "2", environment=environment, cwd=world)
    assert done.returncode == 0, done.stderr
    assert "nothing is wrong" in done.stdout
    for title in (
        "Versions",
        "Device",
        "Positions",
        "Attention and loss",
        "Active in training",
        "Speed",
        "What to change",
    ):
        assert f"== {title} ==" in done.stdout
    assert "{'loss'" not in done.stdout
    assert files(world) == before  # no checkpoint, no output_dir


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_healthy_recipe_on_a_gpu(world, environment):
    words = ["doctor", "recipe.yaml", "--use_cpu", "false", "--bf16", "true", "--packs_per_step", "2"]
    done = mmprolong(*words, environment=environment, cwd=world)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("causal MFU", "hardware FLOPs", "estimated for a pack of", "compute capability"):
        assert text in done.stdout


def test_as_json(world, environment):
    words = ["doctor", "recipe.yaml", "--packs_per_step", "2", "--steps", "2", "--json"]
    done = mmprolong(*words, environment=environment, cwd=world)
    assert done.returncode == 0, done.stderr
    parts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(parts) == 7
    assert {finding["state"] for part in parts for finding in part["findings"]} <= {"ok", "note"}


def test_a_wrong_version(world, environment, tmp_path):
    install(tmp_path, "trl", "1.10.0")
    path = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    done = mmprolong("doctor", "recipe.yaml", environment=environment | {"PYTHONPATH": path}, cwd=world)
    assert done.returncode == 1
    assert "WRONG  trl" in done.stdout
    assert "Versions, trl: 1.10.0 is too old, expected >=1.16,<2; pip install 'trl>=1.16,<2'" in done.stdout
    assert "== Device ==" not in done.stdout


def test_a_missing_kernel(world, monkeypatch):
    monkeypatch.chdir(world)
    *_, part = examine(["recipe.yaml", "--attention_kernel", "flash_attention_3"], steps=2)
    assert part.is_wrong
    assert "attention_kernel is 'flash_attention_3'" in show(part, width=10_000)
    assert "No module named 'flash_attn_interface'" in show(part, width=10_000)


def broken(folder, collate, **options) -> dict:
    trainer = make_trainer(folder, max_steps=2, **options)
    ours = trainer.data_collator
    trainer.data_collator = lambda rows: collate(ours(rows))
    return {part.title: part for part in examine_trainer(trainer, first_window=32768)}


def test_a_leaking_mask(tmp_path):
    parts = broken(tmp_path, ones_mask, model=tiny.model(attention="sdpa"))
    assert [title for title, part in parts.items() if part.is_wrong] == ["Attention and loss"]
    text = show(parts["Attention and loss"], width=10_000)
    assert "WRONG  samples of a pack  samples that share a pack see each other" in text
    assert "Attention is 'sdpa'" in text
    assert parts["Speed"].findings[0].text == "not begun, because of what is wrong above"


def test_wrong_positions(tmp_path):
    parts = broken(tmp_path, text_row_not_restarted)
    assert [title for title, part in parts.items() if part.is_wrong] == ["Positions", "Attention and loss"]
    text = show(parts["Positions"], width=10_000)
    assert "WRONG  first pack" in text
    assert "the text row of position_ids is" in text


def test_memory_that_ends(tmp_path):
    def exhaust(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    trainer = make_trainer(tmp_path, max_steps=2)
    trainer.model.register_forward_pre_hook(exhaust)
    *_, part = examine_trainer(trainer, first_window=32768)
    assert part.is_wrong
    assert "of the GPU is exhausted: CUDA out of memory. docs/hardware.md says what fits" in part.findings[0].text


def test_one_step_cannot_be_timed(world):
    with pytest.raises(ValueError, match="--steps is 1, expected at least 2: the first is not timed"):
        next(examine([], steps=1))


@pytest.mark.parametrize("numbers", [(2, 1), (1, 8)])
def test_several_processes_or_gpus_are_refused(numbers):
    check_alone(1, 0)
    check_alone(1, 1)
    with pytest.raises(ValueError, match="start it by itself, with CUDA_VISIBLE_DEVICES=0"):
        check_alone(*numbers)
