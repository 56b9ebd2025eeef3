"""Training that ends on the Hub, as users start it: in processes of their own, with a token that no file may hold."""

import subprocess
import sys

import pytest
import tiny
import yaml
from huggingface_hub import ModelCard
from loopback_hub import LoopbackHub
from safetensors.torch import load_file
from trained import TEMPLATE

RECIPE = """if __name__ == "__main__": from mmprolong_hf.train import main; main(); r\"\"\"
model_name_or_path: tester/base
dataset_name: tester/reports
output_dir: {folder}/out
push_to_hub: true
hub_model_id: tester/long
model_card_template: {template}
model_license: apache-2.0
extend_context: true
max_length: 128
packs_per_step: 2
max_steps: 2
save_steps: 1
learning_rate: 1.0e-3
logging_steps: 1
bf16: false
use_cpu: true
# \"\"\"
"""
# What neither huggingface_hub nor transformers nor datasets tries again
FAULTS = {
    ("GET", "/api/models/tester/base/revision/main"): "500",
    ("GET", "/api/datasets/tester/reports"): "429",
    ("HEAD", "/datasets/tester/reports/resolve/main/README.md"): "cut",
}
UPLOAD = """
import sys
from huggingface_hub import HfApi
for kind, name, folder in (("model", "tester/base", "base"), ("dataset", "tester/reports", "set")):
    HfApi().create_repo(name, repo_type=kind)
    HfApi().upload_folder(repo_id=name, repo_type=kind, folder_path=folder)
"""


def run(command, environment, cwd):
    done = subprocess.run([sys.executable, *command], env=environment, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def world(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("processes")
    tiny.save_checkpoint(folder / "base")
    tiny.save_dataset(folder / "set", train=tiny.documents(6))
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder, template=TEMPLATE))
    with LoopbackHub() as hub:
        hub.client = environment | hub.environment
        run(["-c", UPLOAD], hub.client, folder)
        hub.faults = lambda number, method, path: FAULTS.get((method, path), "")
        hub.done = run(["recipe.yaml"], hub.client, folder)
        yield folder, hub


def test_it_publishes_once_at_the_end(world):
    folder, hub = world
    assert len(hub.commits("model", "tester/long")) == 2  # the Hub's own, and ours
    files = hub.files("model", "tester/long")
    assert files["model.safetensors"] == (folder / "out" / "model.safetensors").read_bytes()
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth"))]
    assert f"{hub.url}/tester/long/tree/" in hub.done.stdout
    assert hub.shown == {"500": 2, "429": 2, "cut": 2}  # and a Hub that was busy when base and data were loaded


def test_the_card_pins_base_and_data(world):
    _, hub = world
    card = ModelCard(hub.files("model", "tester/long")["README.md"].decode())
    assert (card.data.base_model, card.data.datasets, card.data.license) == ("tester/base", ["tester/reports"], "apache-2.0")  # fmt: skip
    for kind, name in (("model", "tester/base"), ("dataset", "tester/reports")):
        assert f"at `{hub.commits(kind, name)[0].sha}`" in card.text


def test_the_token_is_in_no_file(world):
    folder, hub = world
    token = hub.token.encode()
    written = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    assert "training_args.bin" in {path.name for path in written}
    assert not [path for path, content in written.items() if token in content]
    assert not [name for name, content in hub.files("model", "tester/long").items() if token in content]
    assert hub.token not in hub.done.stdout + hub.done.stderr


def test_the_published_recipe_trains_the_same_again(world):
    folder, hub = world
    text = hub.files("model", "tester/long")["recipe.yaml"]
    recipe = yaml.safe_load(text)
    assert recipe["model_revision"] == hub.commits("model", "tester/base")[0].sha
    assert recipe["dataset_revision"] == hub.commits("dataset", "tester/reports")[0].sha
    assert not {"push_to_hub", "hub_model_id", "model_card_template"} & recipe.keys()
    assert str(folder).encode() not in text
    (folder / "again").mkdir()
    (folder / "again" / "recipe.yaml").write_bytes(text)
    run(["-m", "mmprolong_hf.train", "--config", "recipe.yaml"], hub.client, folder / "again")
    ours, theirs = (load_file(path / "model.safetensors") for path in (folder / "out", folder / "again" / "out"))
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert len(hub.commits("model", "tester/long")) == 2
