"""One commit or none, whatever the Hub and the machine do in between; the clients are processes of their own."""

import hashlib
import os
import random
import signal
import subprocess
import sys

import pushing
import pytest
from loopback_hub import LoopbackHub, seeded_faults
from pushing import REPO, contents, held, push, start, write

from mmprolong_hf.hub.card import Card

FAULTS = {"429": 0.1, "500": 0.1, "cut": 0.1, "lost": 0.1}


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
        assert "deleted data/train-00002-of-00003.parquet\n" in said
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


def test_what_another_pusher_commits_right_behind_is_not_undone(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    shard, edits = "data/train-00000-of-00003.parquet", []

    def edit(number, method, path):
        if not edits and ("POST", f"/api/datasets/{REPO}/commit/main") in hub.requests[:-1]:
            edits.append(hub.edit("dataset", REPO, {shard: b"of another set"}))

    with LoopbackHub(on_request=edit) as hub:
        code, said = push(hub, folder, environment)
        assert code == 0, said
        newest, ours = hub.commits("dataset", REPO)[:2]
        assert (newest.message, ours.message) == ("Edited in the browser", "Push")
        assert ours.files[shard].content == contents(folder)[shard]
        assert f"/tree/{ours.sha}" in said


def test_what_is_there_and_does_not_fit_is_one_line_and_no_commit(tmp_path, environment):
    folder = write(tmp_path / "set", seed=0)
    shard = folder / "data" / "train-00000-of-00003.parquet"
    with LoopbackHub() as hub:
        hub.on_request = lambda number, method, path: shard.write_bytes(b"rebuilt") if "/tree/" in path else None
        refused = [push(hub, folder, environment)]
        assert "data/train-00000-of-00003.parquet changed while it was pushed" in refused[-1][1]
        hub.on_request = None
        refused.append(push(hub, folder, environment, private=True))
        assert f"{REPO} is public already, and private was asked" in refused[-1][1]
        hub.edit("dataset", REPO, {"README.md": b"---\nconfigs: mine\n---\n"})
        refused.append(push(hub, folder, environment))
        assert f"README.md of {REPO} on the Hub: the card has configs: 'mine'" in refused[-1][1]
        assert {code for code, _ in refused} == {1}
        assert all(said.splitlines()[-1].startswith("error: ") for _, said in refused)
        assert held(hub) == {}


@pytest.mark.parametrize("seed", [1, 4, 6, 8])  # the last one shows every fault, the others are quick
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
    size = sum(path.stat().st_size for path in (folder / "data").iterdir())

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
        assert uploaded >= size
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
        ({"HF_TOKEN": "hf_größe"}, REPO, "the token holds letters that no token"),
        ({"HF_TOKEN": ""}, REPO, "there is no token for the Hub; set HF_TOKEN"),
        ({"HF_HUB_OFFLINE": "1"}, REPO, "HF_HUB_OFFLINE is set"),
        ({}, "a/b/c", "Repo id must be"),
    ],
)
def test_refusals_are_one_line(tmp_path, environment, change, repo_id, words):
    folder = write(tmp_path / "set", seed=0)
    with LoopbackHub() as hub:
        command = [sys.executable, pushing.__file__, repo_id, str(folder)]
        env = environment | hub.environment | change
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert words in done.stderr.splitlines()[-1]
    assert "hf_" not in done.stdout + done.stderr.replace("huggingface_hub", "")
