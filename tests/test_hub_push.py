"""One commit or none, whatever the Hub and the machine do in between; the clients are processes of their own."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub, seeded_faults

from mmprolong_hf.hub.card import Card

REPO = "tester/set"
PUSHING = Path(__file__).with_name("pushing.py")
FAULTS = {"429": 0.1, "500": 0.1, "cut": 0.1, "lost": 0.1}


def write(folder: Path, seed: int, shards: int = 3) -> Path:
    """A set of some shards, which the Hub keeps as large files, and a small file."""
    for k in range(shards):
        path = folder / "data" / f"train-{k:05d}-of-{shards:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(f"{seed} {k}").randbytes(30_000))
    (folder / "build_report.json").write_text(f'{{"seed": {seed}}}')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def held(hub: LoopbackHub) -> dict[str, bytes]:
    """What a reader of the branch sees, without the card and the Hub's own file."""
    return {k: v for k, v in hub.files("dataset", REPO).items() if k not in ("README.md", ".gitattributes")}


def start(hub: LoopbackHub, folder: Path, environment, **options) -> subprocess.Popen:
    command = [sys.executable, str(PUSHING), options.pop("repo_id", REPO), str(folder), json.dumps(options)]
    env = environment | hub.environment
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def push(hub: LoopbackHub, folder: Path, environment, **options) -> tuple[int, str]:
    done = start(hub, folder, environment, **options)
    out, err = done.communicate(timeout=120)
    assert hub.token not in out + err
    return done.returncode, out + err


def test_a_push_is_one_commit_with_a_verified_listing(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub() as hub:
        code, said = push(hub, folder, environment)
        assert code == 0, said
        assert held(hub) == contents(folder)
        commits = hub.commits("dataset", REPO)
        assert len(commits) == 2  # the Hub's own, and this
        for path, data in contents(folder).items():
            assert f"{hashlib.sha256(data).hexdigest()}  {len(data):>14,}  {path}" in said
        assert "5 files, " in said
        assert f"{hub.url}/datasets/{REPO}/tree/{commits[0].sha}" in said


def test_the_same_again_uploads_nothing_and_makes_no_commit(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub() as hub:
        push(hub, folder, environment)
        uploaded, number = hub.uploaded_bytes, len(hub.requests)
        code, said = push(hub, folder, environment)
        assert code == 0, said
        assert "nothing to upload" in said
        assert hub.uploaded_bytes == uploaded
        assert {method for method, _ in hub.requests[number:]} == {"GET", "POST"}  # POST: "make it if it is not there"
        assert [path for method, path in hub.requests[number:] if method == "POST"] == ["/api/repos/create"]
        assert len(hub.commits("dataset", REPO)) == 2


def test_another_sharding_replaces_the_earlier_one_and_leaves_other_files(tmp_path, environment):
    with LoopbackHub() as hub:
        push(hub, write(tmp_path / "first", seed=0, shards=3), environment)
        hub.edit("dataset", REPO, {"notes.txt": b"by hand"})
        second = write(tmp_path / "second", seed=1, shards=2)
        code, said = push(hub, second, environment)
        assert code == 0, said
        assert held(hub) == contents(second) | {"notes.txt": b"by hand"}
        assert "4 uploaded, 3 deleted" in said
        assert len(hub.commits("dataset", REPO)) == 4


def test_what_a_person_edits_on_the_card_stays(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub() as hub:
        push(hub, folder, environment)
        text = hub.files("dataset", REPO)["README.md"].decode()
        hub.edit("dataset", REPO, {"README.md": text.replace("None known.", "Shard 2 is odd.").encode()})
        code, said = push(hub, write(folder, seed=1, shards=4), environment)
        card = Card.parse(hub.files("dataset", REPO)["README.md"].decode())
        assert code == 0, said
        assert "kept as edited on the Hub: section Limits" in said
        assert card.sections["Limits"].strip() == "Shard 2 is odd."
        assert card.sections["Size"].strip() == f"{len(contents(folder))} files."


def test_an_edit_in_the_middle_of_a_push_is_not_lost(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    edits = []

    def edit(number, method, path):
        if method == "PUT" and not edits:
            edits.append(hub.edit("dataset", REPO, {"README.md": b"# Mine\n\n## Limits\n\nBy hand.\n"}))

    with LoopbackHub(on_request=edit) as hub:
        code, said = push(hub, folder, environment)
        assert code == 0, said
        assert len(edits) == 1
        assert held(hub) == contents(folder)
        assert "By hand." in hub.files("dataset", REPO)["README.md"].decode()
        assert [commit.message for commit in hub.commits("dataset", REPO)[:2]] == ["Push", "Edited in the browser"]


@pytest.mark.parametrize("seed", range(4))
def test_faults_on_the_way_change_nothing(tmp_path, environment, seed):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub(faults=seeded_faults(seed, FAULTS)) as hub:
        code, said = push(hub, folder, environment)
        assert code == 0, said
        assert sum(hub.shown.values()) > 0
        assert held(hub) == contents(folder)
        assert len(hub.commits("dataset", REPO)) == 2


def test_a_commit_whose_answer_is_lost_is_not_made_twice(tmp_path, environment):
    def lose(number, method, path):
        return "lost" if "/commit/" in path and method == "POST" else ""

    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub(faults=lose) as hub:
        code, said = push(hub, folder, environment)
        assert code == 0, said
        assert hub.shown == {"lost": 1}
        assert held(hub) == contents(folder)
        assert len(hub.commits("dataset", REPO)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_a_random_request_and_repeated(tmp_path, environment, seed):
    old, new = write(tmp_path / "old", seed=10, shards=2), write(tmp_path / "new", seed=11, shards=4)
    victim: list[subprocess.Popen] = []

    def kill(number, method, path):
        if victim and number - first == last:
            os.kill(victim[0].pid, signal.SIGKILL)

    with LoopbackHub(on_request=kill) as hub:
        push(hub, old, environment)
        first, last = len(hub.requests), random.Random(seed).randrange(1, 16)
        victim.append(start(hub, new, environment))
        victim[0].communicate(timeout=120)
        hub.drain()
        assert victim[0].returncode in (-signal.SIGKILL, 0)  # 0: it takes fewer requests than that
        assert held(hub) in (contents(old), contents(new))
        victim.clear()
        code, said = push(hub, new, environment)
        assert code == 0, said
        assert held(hub) == contents(new)
        assert len(hub.commits("dataset", REPO)) == 3


def test_after_a_kill_only_what_is_missing_is_uploaded(tmp_path, environment):
    folder, victim = write(tmp_path / "set", seed=0, shards=6), []
    size = sum(len(data) for data in contents(folder).values())

    def kill(number, method, path):
        if victim and "/commit/" in path:
            os.kill(victim.pop().pid, signal.SIGKILL)

    with LoopbackHub(
        on_request=kill, faults=lambda n, method, path: "cut" if victim and "/commit/" in path else ""
    ) as hub:
        victim.append(start(hub, folder, environment))
        victim[0].communicate(timeout=120)
        hub.drain()
        assert held(hub) == {}
        uploaded = hub.uploaded_bytes
        assert uploaded > size
        code, said = push(hub, folder, environment)
        assert code == 0, said
        assert hub.uploaded_bytes - uploaded < 10_000  # the commit, with the small files in it
        assert held(hub) == contents(folder)


def test_a_branch_of_its_own(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub() as hub:
        code, said = push(hub, folder, environment, revision="trial")
        assert code == 0, said
        assert held(hub) == {}
        assert set(contents(folder)) < set(hub.files("dataset", REPO, revision="trial"))


@pytest.mark.parametrize(
    ("change", "repo_id", "words"),
    [
        ({"HF_TOKEN": "hf_wrong"}, REPO, "the Hub answered 401"),
        ({}, "somebody-else/set", "may not write to somebody-else/set"),
        ({"HF_TOKEN": ""}, REPO, "there is no token for the Hub; set HF_TOKEN"),
        ({"HF_HUB_OFFLINE": "1"}, REPO, "HF_HUB_OFFLINE is set"),
        ({}, "a/b/c", "Repo id must be"),
    ],
)
def test_refusals_are_one_line(tmp_path, environment, change, repo_id, words):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub() as hub:
        command = [sys.executable, str(PUSHING), repo_id, str(folder)]
        env = environment | hub.environment | change
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert words in done.stderr.splitlines()[-1]
    assert "hf_" not in done.stdout + done.stderr.replace("huggingface_hub", "")
