import json

import pytest
import tiny
import torch
import yaml
from datasets import load_dataset

from mmprolong_hf.run_record import (
    RunSource,
    RunTime,
    describe_base,
    describe_dataset,
    read_record,
    sha256_of,
    write_record,
)

CPU = torch.device("cpu")


def resumed(folder, *hardware):
    write_record(folder, {"hardware": list(hardware)}, None)
    times = RunTime()
    times.begin()
    times.go_on(folder)
    return times


def test_time_of_the_same_hardware_adds_up_over_processes(tmp_path):
    (before,) = RunTime().parts(CPU, 2)
    (part,) = resumed(tmp_path, before | {"seconds": 100.0}).parts(CPU, 2)
    assert part["num_devices"] == 2
    assert 100 < part["seconds"] < 130


def test_other_hardware_is_another_part(tmp_path):
    parts = resumed(tmp_path, {"device": "H100", "num_devices": 8, "seconds": 100.0}).parts(CPU, 1)
    assert parts[0] == {"device": "H100", "num_devices": 8, "seconds": 100.0}
    assert parts[1]["num_devices"] == 1
    assert parts[1]["seconds"] < 30


def test_a_checkpoint_of_an_earlier_version_goes_on_without(tmp_path):
    times = RunTime()
    times.begin()
    times.go_on(tmp_path)
    assert len(times.parts(CPU, 1)) == 1


def test_beginning_anew_forgets_what_was_before(tmp_path):
    times = resumed(tmp_path, {"device": "H100", "num_devices": 8, "seconds": 100.0})
    times.begin()
    assert len(times.parts(CPU, 1)) == 1


def test_a_local_dataset_is_known_by_its_questions(tmp_path):
    folder = tiny.save_dataset(tmp_path / "set", train=tiny.documents(4))
    described = describe_dataset(load_dataset(str(folder), split="train"), str(folder))
    assert (described["name"], described["commit"], described["num_documents"]) == (None, None, 4)
    other = describe_dataset(tiny.documents(3), "org/set")
    assert other["name"] == "org/set"
    assert other["fingerprint"] != described["fingerprint"]


def test_a_local_base_has_no_name(tmp_path):
    assert describe_base(str(tmp_path)) == {"name": None, "commit": None}
    assert describe_base("org/never-loaded") == {"name": "org/never-loaded", "commit": None}


def test_record_and_recipe_are_read_back(tmp_path):
    text = RunSource({"max_length": 128, "learning_rate": 2e-5}).recipe_text
    write_record(tmp_path, {"step": 3}, text)
    assert read_record(tmp_path) == json.loads((tmp_path / "training.json").read_text()) == {"step": 3}
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text()) == {"max_length": 128, "learning_rate": 2e-5}
    assert sha256_of(text) != sha256_of(text + "\n")
    assert sha256_of(RunSource().recipe_text) is None


def test_a_folder_without_a_record(tmp_path):
    with pytest.raises(ValueError, match=r"has no training\.json, which every training writes beside its weights"):
        read_record(tmp_path)
