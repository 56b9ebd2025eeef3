"""docs/tutorial.md is followed command by command, at toy size, with a Hub on loopback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub

from mmprolong_hf.demo.model import make_tiny_model
from mmprolong_hf.demo.reports import write_reports
from mmprolong_hf.review.grades import CORRECT, FORMAT_VERSION
from mmprolong_hf.review.sample import draw_sample

# What makes a command of the tutorial one for two CPU cores and a tiny model; everything else of it stays as it is written
TOY = {
    "accelerate launch recipes/qwen25vl_128k.yaml": (
        "--model_name_or_path model --max_length 6144 --min_pixels 784 --max_pixels 200704 --packs_per_step 1 "
        "--max_questions_per_pack 4 --max_questions 5 --bf16 false --use_cpu true --dataloader_num_workers 0 --num_gpus 1"
    ),
    "mmprolong evaluate": "--set max_new_tokens=4",
    "mmprolong needle": "--lengths 1024 --depths 2 --size 0.1",
    # The base of the toy is a folder, which no reader of the Hub has
    "mmprolong publish model my-adapter": "--base_model tester/tiny-base",
}
SPLIT = "--set test_fraction=0.1", "--set test_fraction=0.34"  # one of three documents
LENGTHS = "[65536, 131072]", "[2048, 4096]"


def blocks(root: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (root / "docs/tutorial.md").read_text(encoding="utf-8"), flags=re.S)


def grade(folder: Path, path: Path) -> None:
    """The file that a person exports who finds everything correct."""
    sample = draw_sample(folder, num_samples=100, seed=0)
    content = {
        "format_version": FORMAT_VERSION,
        "fingerprint": sample.fingerprint,
        "seed": 0,
        "split": "train",
        "num_questions": sample.num_questions,
        "reviewer": "A reader",
        "samples": [
            {name: question[name] for name in ("doc_id", "question", "task")} | {"grade": CORRECT, "note": ""}
            for question in sample.questions
        ],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def followed(root, environment, tmp_path_factory):
    """The folder in which all commands ran, what each of them said, and the Hub with what they published."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("recipes", "model_cards"):
        (folder / name).symlink_to(root / name)
    write_reports(folder / "pdfs", count=3)
    make_tiny_model(folder / "model")
    (plan,) = blocks(root, "yaml")
    (folder / "evaluation.yaml").write_text(plan.replace(*LENGTHS).replace("YOUR-NAME", "tester"), encoding="utf-8")
    said: dict[str, str] = {}
    with LoopbackHub() as hub:
        env = environment | hub.environment | {"HF_DATASETS_CACHE": str(folder / "cache")}

        def run(command: list[str] | str) -> str:
            shell = isinstance(command, str)
            done = subprocess.run(
                command, shell=shell, cwd=folder, env=env, capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
            return done.stdout + done.stderr

        base = "from huggingface_hub import upload_folder, create_repo; create_repo('tester/tiny-base'); "
        run([sys.executable, "-c", base + "upload_folder(repo_id='tester/tiny-base', folder_path='model')"])
        for line in "".join(blocks(root, "bash")).splitlines():
            extra = " ".join(words for start, words in TOY.items() if line.startswith(start))
            said[line] = run(f"{line.replace(*SPLIT).replace('YOUR-NAME', 'tester')} {extra}")
            if line.startswith("mmprolong review"):
                grade(folder / "my-set", folder / "review.json")
        for block in blocks(root, "python"):
            code = "import sys; sys.modules['mmprolong_hf'] = None\n" + block.replace("YOUR-NAME", "tester")
            # Where there is no torchvision, AutoProcessor cannot make Qwen's video processor
            code = code.replace("AutoProcessor", "AutoImageProcessor")
            said[block] = run([sys.executable, "-c", code])
        yield folder, said, hub


def test_every_command_of_the_tutorial_runs(root, followed):
    folder, said, _ = followed
    assert set(said) == {*"".join(blocks(root, "bash")).splitlines(), *blocks(root, "python")}
    assert (folder / "my-review/index.html").is_file()
    assert (folder / "my-needles/heatmap.png").is_file()


def test_every_toy_change_changes_a_command(root):
    text = (root / "docs/tutorial.md").read_text(encoding="utf-8")
    for start in TOY:
        assert f"\n{start}" in text
    for old, _ in (SPLIT, LENGTHS):
        assert old in text


def test_what_the_tutorial_says_is_on_the_hub(followed):
    _, _, hub = followed
    sets = {name: hub.files("dataset", f"tester/{name}") for name in ("my-set", "my-set-pdf", "my-set-references")}
    assert "100.0 % (95 % Wilson interval" in sets["my-set"]["README.md"].decode()
    assert any(path.startswith("data/") for path in sets["my-set"])
    model, adapter = (hub.files("model", f"tester/{name}") for name in ("my-model", "my-adapter"))
    assert "model.safetensors" in model
    assert "model-index:" in model["README.md"].decode()
    assert "adapter_model.safetensors" in adapter
    assert json.loads(adapter["adapter_config.json"])["base_model_name_or_path"] == "tester/tiny-base"
    for files in (*sets.values(), model, adapter):
        assert not [path for path in files if path.endswith((".bin", ".pt", ".tmp"))]


def test_the_token_is_nowhere(followed):
    folder, said, hub = followed
    token = hub.token.encode()
    written = [path for path in folder.rglob("*") if path.is_file() and token in path.read_bytes()]
    assert written == []
    assert [command for command, text in said.items() if hub.token in text] == []
    for repo_type, repo_id in hub.storage.repositories:
        for path, data in hub.files(repo_type, repo_id).items():
            assert token not in data, (repo_id, path)
