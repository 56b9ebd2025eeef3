"""Checkpoints and adapters published to a Hub, read back from it, and published again."""

import json
import subprocess
import sys

import pytest
import torch
from loopback_hub import LoopbackHub
from safetensors.torch import load_file
from trained import copied, linked, runs
from transformers import AutoModelForImageTextToText

from mmprolong_hf.hub.model import plan_model, publish_model

PUBLISH = """
import sys
from pathlib import Path
from huggingface_hub import HfApi
from transformers import AutoModelForImageTextToText
from mmprolong_hf.hub.model import publish_model
from mmprolong_hf.rope import write_both_formats

folder = Path(sys.argv[1])
HfApi().create_repo("tester/base")
HfApi().upload_folder(repo_id="tester/base", folder_path=folder / "base")
for pushed in (
    publish_model(folder / "full", "tester/long", base_model="tester/base"),
    publish_model(folder / "full", "tester/long", base_model="tester/base"),
    publish_model(folder / "lora", "tester/adapter", base_model="tester/base", private=True),
):
    print(len(pushed.uploaded), len(pushed.deleted), pushed.url)
for shards in ("200KB", "300KB"):
    for old in folder.glob("sharded/model*"):
        old.unlink()
    AutoModelForImageTextToText.from_pretrained(folder / "full").save_pretrained(folder / "sharded", max_shard_size=shards)
    write_both_formats(folder / "sharded")
    print(publish_model(folder / "sharded", "tester/long", base_model="tester/base").deleted)
"""
READ = """
import os
from safetensors.torch import save_file
from mmprolong_hf.config import DataArguments
from mmprolong_hf.encoding import image_limits, load_processor
from mmprolong_hf.models import fetch, merge_adapter
from mmprolong_hf.train import load_documents

def refused(load, *args):
    try:
        load(*args)
    except ValueError as error:
        print(error)

model = AutoModelForImageTextToText.from_pretrained("tester/long")
save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "read.safetensors")
print(model.config.text_config.rope_parameters["rope_theta"], image_limits(load_processor("tester/long")).max_pixels)
merge_adapter("tester/adapter", folder / "merged")
refused(merge_adapter, "tester/long", folder / "other")
refused(merge_adapter, "tester/nowhere", folder / "other")
os.environ["HF_TOKEN"] = "hf_wrong"
refused(fetch, "tester/base", "other-branch")
refused(load_documents, DataArguments("tester/set"), "train")
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = linked(tmp_path_factory.mktemp("hub_model"))
    copied(folder / "full", folder / "sharded")
    return folder


def is_read_of_the_base(method, path):
    return method == "HEAD" and path.startswith("/tester/base/") and path.endswith("/config.json")


@pytest.fixture(scope="module")
def hub(world, environment):
    with LoopbackHub(lambda number, *request: "cut" if is_read_of_the_base(*request) else "") as hub:
        code = [sys.executable, "-c", PUBLISH + READ, str(world)]
        done = subprocess.run(code, env=environment | hub.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        hub.said = done.stdout.splitlines()
        yield hub


def test_one_commit_and_a_second_push_of_the_same_uploads_nothing(world, hub):
    first, second, adapter = hub.said[:3]
    assert first.split()[:2] == ["11", "0"]
    assert second.split()[:2] == ["0", "0"]
    assert adapter.split()[0] == "11"
    assert len(hub.commits("model", "tester/adapter")) == 2  # the Hub's own, and one


def test_what_is_published_is_what_is_needed_and_no_more(world, hub):
    names = set(hub.files("model", "tester/adapter")) - {".gitattributes"}
    assert names == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "config.json", "preprocessor_config.json",
        "processor_config.json", "recipe.yaml", "tokenizer.json", "tokenizer_config.json", "training.json",
    }  # fmt: skip
    for repository in ("tester/long", "tester/adapter"):
        for name, content in hub.files("model", repository).items():
            assert not name.endswith((".bin", ".pt", ".pth")), name
            assert hub.token.encode() not in content, name
            assert str(runs()).encode() not in content, name


def test_another_sharding_replaces_the_one_before(world, hub):
    assert hub.said[3] == "('model.safetensors',)"
    assert "model-00001-of-0000" in hub.said[4]
    names = {name for name in hub.files("model", "tester/long") if name.startswith("model")}
    assert names == {path.name for path in (world / "sharded").glob("model*")}


def test_an_adapter_names_its_base_by_its_id_and_the_users_file_stays(world, hub):
    published = json.loads(hub.files("model", "tester/adapter")["adapter_config.json"])
    assert published["base_model_name_or_path"] == "tester/base"
    own = json.loads((world / "lora" / "adapter_config.json").read_text())
    assert own["base_model_name_or_path"] == str(runs() / "base")
    assert b"base_model: tester/base" in hub.files("model", "tester/adapter")["README.md"]


def test_the_plan_is_what_is_published(world, hub):
    plan = plan_model(world / "lora", "tester/adapter", base_model="tester/base")
    published = hub.files("model", "tester/adapter")
    held = {
        name: content if isinstance(content, bytes) else content.read_bytes() for name, content in plan.files.items()
    }
    assert held == {name: published[name] for name in held}
    assert set(published) == {*held, "README.md", ".gitattributes"}
    assert published["README.md"].decode().startswith(str(plan.card).rstrip())
    size = sum(map(len, held.values()))
    assert str(plan).endswith(f"\n{len(held)} files, {size:,} bytes, and README.md to tester/adapter")


def test_what_cannot_be_read_is_one_line(hub):
    no_adapter, nowhere, base, dataset = hub.said[6:]
    assert no_adapter == "tester/long holds no adapter_config.json with the config.json it was trained with"
    assert nowhere.startswith("tester/nowhere is neither a checkpoint folder nor a model that the Hub gives to you: it answered 404")  # fmt: skip
    wrong = "it answered 401, so the token is missing, wrong or may not read it, or there is no such repository; set HF_TOKEN, or run `hf auth login`"
    assert base == f"tester/base is neither a checkpoint folder nor a model that the Hub gives to you: {wrong}"
    assert (
        dataset
        == f"dataset_name 'tester/set' is neither a local folder nor a dataset that the Hub gives to you: {wrong}"
    )


def test_the_published_loads_and_its_adapter_merges_over_cut_connections(world, hub):
    assert hub.shown == {"cut": 2}
    assert hub.said[5] == "4000000.0 12544"
    read = load_file(world / "read.safetensors")
    trained = AutoModelForImageTextToText.from_pretrained(world / "full").state_dict()
    assert read.keys() == trained.keys()
    assert all(torch.equal(read[name], trained[name]) for name in trained)
    merged, base = (load_file(world / name / "model.safetensors") for name in ("merged", "base"))
    assert max((merged[name] - base[name]).abs().max() for name in base) > 1e-4
    record = json.loads((world / "merged" / "training.json").read_text())
    assert record["adapter"]["merged"]


@pytest.mark.parametrize(
    ("source", "base_model", "message"),
    [
        (
            "lora",
            None,
            r"the adapter's base is a local folder \(.*base\), where nobody else finds it; name the Hub id",
        ),
        ("lora", "/home/me/base", "base_model is '/home/me/base', expected a Hub id"),
        ("other", "org/base", "base_model is 'org/base', but the training was of 'org/another'; leave it out"),
    ],
)
def test_a_base_that_nobody_finds_is_refused_before_anything_is_sent(world, tmp_path, source, base_model, message):
    folder = world / source
    if source == "other":
        folder = copied(world / "full", tmp_path / "other")
        record = json.loads((folder / "training.json").read_text())
        record["base_model"] = {"name": "org/another", "commit": None}
        (folder / "training.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=message):
        publish_model(folder, "me/x", base_model=base_model)
