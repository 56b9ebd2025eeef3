"""A set goes to the Hub and into a training, the checkpoint goes there and into a fresh process: on a good day and on a bad one."""

import json
import subprocess
import sys
from functools import partial

import pytest
import tiny
from loopback_hub import LoopbackHub, seeded_faults

from mmprolong_hf.demo.reports import write_reports
from mmprolong_hf.old_readers import OLDEST_TRANSFORMERS
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

RECIPE = """
model_name_or_path: model
dataset_name: tester/set
output_dir: out
model_card_template: {root}/model_cards/long_context.md
push_to_hub: true
hub_model_id: tester/model
extend_context: true
rope_theta: 4.0e+6
max_position_embeddings: 131072
max_length: 4096
min_pixels: 784
max_pixels: 12544
packs_per_step: 1
max_questions_per_pack: 4
max_steps: 2
learning_rate: 1.0e-3
bf16: false
use_cpu: true
report_to: none
"""
# A Hub that is busy, slow and at times out of order; what is sent to it may be cut off, or done without an answer
READ = {"429": 0.1, "500": 0.1, "slow": 0.1}
SENT = READ | {"cut": 0.1, "lost": 0.1}

LOAD_SET = """
import hashlib, json
from datasets import Image, List, load_dataset
def digest(row):
    pages = b"".join(hashlib.sha256(page["bytes"]).digest() for page in row["images"])
    return [row["doc_id"], hashlib.sha256(pages).hexdigest(), len(row["questions"])]
def raw(rows):
    return rows.cast_column("images", List(Image(decode=False)))
whole = raw(load_dataset("{name}", split="train"))
streamed = raw(load_dataset("{name}", split="train", streaming=True))
print(json.dumps([[digest(row) for row in whole], [digest(row) for row in streamed]]))
"""
LOAD_MODEL = """
import json, sys
sys.modules["mmprolong_hf"] = None
import torch, transformers
from transformers import AutoImageProcessor, AutoTokenizer, Qwen2_5_VLForConditionalGeneration
torch.set_num_threads(1)
model = Qwen2_5_VLForConditionalGeneration.from_pretrained("{name}").eval()
ids = torch.arange(20, 60)[None]
logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]
size = AutoImageProcessor.from_pretrained("{name}").size
print(json.dumps([transformers.__version__, logits.tolist(), len(AutoTokenizer.from_pretrained("{name}")), str(size)]))
"""


def bad_day(number: int, method: str, path: str, read, sent) -> str:
    return (read if method in ("GET", "HEAD") else sent)(number, method, path)


@pytest.fixture(scope="module", params=["a good day", "a bad day"])
def trip(request, root, environment, tmp_path_factory):
    """The folder, the Hub after everything, and what each process printed."""
    folder = tmp_path_factory.mktemp("trip")
    write_reports(folder / "pdfs", count=2)
    build_dataset(folder_plan(folder / "pdfs", {"output": str(folder / "set")}))
    tiny.save_checkpoint(folder / "model")
    (folder / "recipe.yaml").write_text(RECIPE.format(root=root))
    faults = None
    if request.param == "a bad day":
        faults = partial(bad_day, read=seeded_faults(3, READ), sent=seeded_faults(3, SENT))
    said = {}
    with LoopbackHub(faults=faults, bytes_per_second=20_000_000) as hub:
        env = environment | hub.environment | {"HF_DATASETS_CACHE": str(folder / "cache")}

        def run(name: str, *command: str, **more: str) -> None:
            # transformers gives up at the first 500 of some files, and its user tries again; what is ours never has to be
            for _ in range(1 if command[0] != sys.executable else 6):
                done = subprocess.run(command, cwd=folder, env=env | more, capture_output=True, text=True, timeout=300)
                if done.returncode == 0:
                    break
            assert done.returncode == 0, (name, done.stdout[-2000:], done.stderr[-3000:])
            assert hub.token not in done.stdout + done.stderr
            said[name] = done.stdout

        run("publish", "mmprolong", "publish", "dataset", "set", "tester/set")
        run("load", sys.executable, "-c", LOAD_SET.replace("{name}", "tester/set"))
        run("train", "accelerate", "launch", "-m", "mmprolong_hf.train", "--config", "recipe.yaml")
        run("model", sys.executable, "-c", LOAD_MODEL.replace("{name}", "tester/model"))
        run("local", sys.executable, "-c", LOAD_MODEL.replace("{name}", str(folder / "out")))
        oldest = root / ".venv/oldest_transformers" / OLDEST_TRANSFORMERS["qwen2_5_vl"]
        if oldest.is_dir():
            run("oldest", sys.executable, "-c", LOAD_MODEL.replace("{name}", "tester/model"), PYTHONPATH=str(oldest))
        yield request.param, folder, hub, said


def test_the_set_arrives_whole_and_streams(trip):
    _, folder, hub, said = trip
    held = hub.files("dataset", "tester/set")
    for path in (folder / "set").rglob("*.parquet"):
        assert held[path.relative_to(folder / "set").as_posix()] == path.read_bytes()
    whole, streamed = json.loads(said["load"])
    assert len(whole) == 2
    assert whole == streamed
    assert len(hub.commits("dataset", "tester/set")) == 2


def test_two_steps_are_trained_from_the_hub(trip):
    _, folder, _, _ = trip
    state = json.loads((folder / "out/trainer_state.json").read_text())
    assert state["global_step"] == 2


def test_the_checkpoint_loads_in_a_fresh_process_as_it_was_saved(trip):
    _, folder, hub, said = trip
    assert hub.files("model", "tester/model")["model.safetensors"] == (folder / "out/model.safetensors").read_bytes()
    assert json.loads(said["model"]) == json.loads(said["local"])
    assert len(hub.commits("model", "tester/model")) == 2


def test_it_loads_in_the_oldest_transformers_that_the_card_promises(trip):
    _, _, hub, said = trip
    if "oldest" not in said:
        pytest.skip("the oldest transformers is not installed; `make test` does that")
    (_, logits, tokens, _), (version, old_logits, old_tokens, _) = (
        json.loads(said["model"]),
        json.loads(said["oldest"]),
    )
    assert version == OLDEST_TRANSFORMERS["qwen2_5_vl"]
    assert f"transformers {version}" in hub.files("model", "tester/model")["README.md"].decode()
    assert old_logits == pytest.approx(logits, abs=1e-4)
    assert old_tokens == tokens


def test_the_bad_day_was_one(trip):
    day, _, hub, _ = trip
    if day == "a bad day":
        assert {"429", "500", "slow", "cut"} <= set(hub.shown), hub.shown
    else:
        assert not hub.shown


def test_neither_token_nor_optimizer_is_published(trip):
    _, folder, hub, _ = trip
    for repo_type, repo_id in (("dataset", "tester/set"), ("model", "tester/model")):
        files = hub.files(repo_type, repo_id)
        assert not [path for path in files if path.endswith((".bin", ".pt", ".pth", ".tmp"))]
        assert not [path for path, data in files.items() if hub.token.encode() in data]
    assert not [p for p in folder.rglob("*") if p.is_file() and hub.token.encode() in p.read_bytes()]
