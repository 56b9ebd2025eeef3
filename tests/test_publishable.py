import json
import logging
import shutil

import pytest
import tiny
from trained import runs, train

from mmprolong_hf.doctor.examination import examine
from mmprolong_hf.train import main
from mmprolong_hf.train import train as train_and_publish


@pytest.fixture
def base():
    return runs() / "base"


def record(folder):
    return json.loads((folder / "training.json").read_text())


def test_every_checkpoint_tells_how_far_it_came(base, tmp_path):
    trainer = train(tmp_path, base)
    records = [record(tmp_path / name) for name in ("checkpoint-1", "checkpoint-2", ".")]
    assert [found["step"] for found in records] == [1, 2, 2]
    assert records[0]["num_tokens"] < records[1]["num_tokens"]
    plan = trainer.plan(trainer.train_dataset)
    assert records[1]["num_questions"] == trainer.count_questions(2)
    assert records[1]["fill"] == plan.fill
    times = [found["hardware"][0]["seconds"] for found in records]
    assert times == sorted(times)
    assert times[0] > 0


def test_a_resumed_run_counts_the_time_before(base, tmp_path):
    shutil.copytree(runs() / "full", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "checkpoint-1" / "training.json"
    before = record(path.parent)
    before["hardware"][0]["seconds"] = 1000.0
    text = json.dumps(before)
    sizes = json.loads((path.parent / "complete.json").read_text())
    path.write_text(text)
    sizes["files"]["training.json"] = len(text)
    (path.parent / "complete.json").write_text(json.dumps(sizes))
    train(tmp_path, base, resume_from_checkpoint=str(path.parent))
    (part,) = record(tmp_path)["hardware"]
    assert 1000 < part["seconds"] < 1100


def test_the_license_is_said_or_left_out(base, tmp_path):
    assert record(train_one(base, tmp_path / "a"))["license"] is None
    assert record(train_one(base, tmp_path / "b", model_license="apache-2.0"))["license"] == "apache-2.0"


def train_one(base, folder, **options):
    train(folder, base, max_steps=1, save_strategy="no", **options)
    return folder


def test_a_broken_template_is_told_before_training(base, tmp_path):
    (tmp_path / "card.md").write_text("{{ nothing }}")
    with pytest.raises(ValueError, match="model_card_template cannot be filled in"):
        train(tmp_path / "out", base, model_card_template=str(tmp_path / "card.md"))
    assert not (tmp_path / "out" / "checkpoint-1").exists()


def test_an_adapter_on_a_local_base_is_not_trained_to_be_published(base, tmp_path):
    with pytest.raises(ValueError, match=r"push_to_hub is on, but the adapter's base .*base is a local folder"):
        train(tmp_path, base, lora=True, push_to_hub=True, hub_model_id="me/x")


def test_a_hub_that_cannot_be_reached_is_told_before_training(base, tmp_path):
    with pytest.raises(ValueError, match=r"push_to_hub: the Hub does not let me/x be made \(.*HF_HUB_OFFLINE"):
        train(tmp_path, base, push_to_hub=True, hub_model_id="me/x")


def test_what_only_looks_makes_no_repository(base, tmp_path, capsys):
    """Offline: where a repository were to be made, each would be refused as above."""
    tiny.save_dataset(tmp_path / "set", train=tiny.documents(3))
    words = f"--model_name_or_path {base} --dataset_name {tmp_path}/set --output_dir {tmp_path}/out --push_to_hub true --hub_model_id me/x".split()
    words += [
        "--bf16",
        "false",
        "--use_cpu",
        "true",
        "--max_length",
        "128",
        "--packs_per_step",
        "2",
        "--max_steps",
        "2",
    ]
    main([*words, "--dry_run", "true"])
    assert "tokens" in capsys.readouterr().out
    parts = examine(words, steps=2)
    assert not any(next(parts).is_wrong for _ in range(2))  # the device, and then the trainer is made
    with pytest.raises(SystemExit, match="the Hub does not let me/x be made"):
        main(words)


def test_without_a_template_the_card_is_trls(base, tmp_path, caplog):
    with caplog.at_level(logging.ERROR):
        train_one(base, tmp_path, model_card_template=None)
    assert record(tmp_path)["card_template"] is None
    assert "trl" in (tmp_path / "README.md").read_text()


def test_when_it_cannot_be_published_the_error_says_what_is_left(base, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    trainer = train(tmp_path, base, hub_model_id="me/x")
    trainer.args.push_to_hub = True
    trainer.args.resume_from_checkpoint = str(tmp_path / "checkpoint-1")
    with pytest.raises(
        SystemExit, match=r"error: HF_HUB_OFFLINE is set.*The trained model is saved: `mmprolong publish model"
    ):
        train_and_publish(trainer)
    assert (tmp_path / "model.safetensors").is_file()
