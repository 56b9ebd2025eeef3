import resource
import shutil
import subprocess

import pytest
import ranks
import tiny
from peft import LoraConfig, PeftModel
from test_trainer import losses, make_trainer
from transformers import TrainerCallback

from mmprolong_hf.checkpoints import checkpoints, last_complete, num_bytes

# A disk of a few megabytes that is really full: a name space of its own, which some systems allow to no user
DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mkdir -p small disk && mount -t tmpfs -o size=4m none small && mount -t tmpfs -o size=10m none disk && exec "$@"', "sh")  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resumable")
    tiny.save_checkpoint(folder / "model")
    tiny.save_dataset(folder / "dataset", train=tiny.documents())
    return folder


class NoLargeFiles(TrainerCallback):
    """From a step on the system refuses to write past a file's first 200 kB, as it does past the end of a disk."""

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))


def test_a_save_that_fails_leaves_the_last_complete_checkpoint(tmp_path):
    whole = make_trainer(tmp_path / "whole", max_steps=3)
    whole.train()
    options = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1, "max_steps": 3}
    trainer = make_trainer(tmp_path / "out", **options)
    trainer.add_callback(NoLargeFiles())
    message = r"checkpoint-2 could not be written, the last complete checkpoint is .*checkpoint-1: .*"
    try:
        with pytest.raises(RuntimeError, match=message + r"(File too large|os error 27|write failed)"):
            trainer.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [path.name for path in checkpoints(tmp_path / "out")] == ["checkpoint-1"]
    resumed = make_trainer(tmp_path / "out", **options)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed) == losses(whole)


def test_what_a_checkpoint_takes_is_foretold_and_then_measured(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    trainer = make_trainer(tmp_path, **options)
    foretold = trainer._checkpoint_bytes()
    trainer.train()
    last, _ = last_complete(tmp_path)
    assert foretold == pytest.approx(num_bytes(last), rel=0.1)
    assert trainer._checkpoint_bytes() == num_bytes(last)


def test_the_model_alone_needs_less_room(tmp_path):
    trainer = make_trainer(tmp_path, save_strategy="steps", save_steps=2, max_steps=2, save_only_model=True)
    foretold = trainer._checkpoint_bytes()
    trainer.train()
    assert foretold == pytest.approx(num_bytes(last_complete(tmp_path)[0]), rel=0.2)


def test_a_model_is_saved_again_with_several_templates_or_adapters(tmp_path):
    lora = LoraConfig(r=2, target_modules=["q_proj"])
    trainer = make_trainer(tmp_path / "adapters", max_steps=1, peft_config=lora)
    trainer.model.add_adapter("other", lora)
    templates = make_trainer(tmp_path / "templates", max_steps=1)
    processor = templates.processing_class
    processor.chat_template = {"default": processor.chat_template, "other": processor.chat_template}
    for _ in range(2):
        trainer.save_model()
        PeftModel.from_pretrained(tiny.model(), tmp_path / "adapters").load_adapter(
            tmp_path / "adapters" / "other", "b"
        )
        templates.save_model()
        type(templates.model).from_pretrained(tmp_path / "templates")
        assert (tmp_path / "templates" / "additional_chat_templates" / "other.jinja").is_file()


@pytest.mark.parametrize(
    ("options", "checkpoints_at_once"),
    [
        ({"save_strategy": "no"}, 0),
        ({"save_strategy": "epoch"}, 2),
        ({"save_strategy": "steps", "save_steps": 1}, 10),
        ({"save_strategy": "steps", "save_steps": 0.25}, 4),
        ({"save_strategy": "steps", "save_steps": 3, "max_steps": 4}, 2),
        (
            {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 2},
            3,
        ),  # two are kept while the third is written
        ({"save_strategy": "steps", "save_steps": 10, "save_total_limit": 2}, 1),
    ],
)
def test_room_is_asked_for_what_will_be_kept(tmp_path, monkeypatch, options, checkpoints_at_once):
    trainer = make_trainer(tmp_path, **options)  # two epochs of five steps
    asked = []
    monkeypatch.setattr("mmprolong_hf.resumable.check_room", lambda folder, needed, purpose: asked.append(needed))
    trainer.check_room()
    assert asked == [checkpoints_at_once * trainer._checkpoint_bytes() + trainer._weight_bytes()]


def test_a_disk_that_is_full_is_seen_before_training_and_before_a_save(world, environment):
    if shutil.which("unshare") is None or subprocess.run([*DISK, "true"], cwd=world, capture_output=True).returncode:
        pytest.skip("this system lets no user mount a small disk")
    options = ranks.options(world, max_steps=3, save_steps=1, save_total_limit=1)
    fault = {"rank": 0, "step": 2, "kind": "full disk", "number": 2_000_000}
    runs = [
        {"argv": [*options, "--output_dir", "small"], "ranks": 1},
        {"argv": [*options, "--output_dir", "disk"], "fault": fault},
        {"argv": [*options, "--output_dir", "disk", "--resume_from_checkpoint", "last"]},
    ]
    small, filled, resumed = ranks.run_all(runs, world, environment, prefix=DISK)
    assert small["codes"] == [1]
    assert "before training: small has room for 0.00 GB, but 2 checkpoints of 0.00 GB each" in small["output"]
    assert filled["codes"] == [1, 1], filled["output"]
    assert "disk/checkpoint-2 was not written, the last complete checkpoint is disk/checkpoint-1: " in filled["output"]
    assert resumed["codes"] == [0, 0], resumed["output"]  # the file that filled the disk is gone with its process


def test_an_error_on_one_rank_ends_both_with_its_message(world, environment):
    """While saving: rank 1 writes its random state alone. While loading: it finds no optimizer."""
    options = ranks.options(world, max_steps=3, save_steps=1)
    fault = {"rank": 1, "step": 2, "kind": "largest file", "number": 10_000}
    (failed,) = ranks.run_all([{"argv": [*options, "--output_dir", "out"], "fault": fault}], world, environment)
    assert failed["codes"] == [1, 1], failed["output"]
    assert failed["seconds"] < 30
    assert "rank 0: RuntimeError: out/checkpoint-2 could not be written, the last complete" in failed["output"]
    assert [path.name for path in checkpoints(world / "out")] == ["checkpoint-1"]
