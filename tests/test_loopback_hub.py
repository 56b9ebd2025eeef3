"""Real clients against the loopback Hub, each in a process of its own: its address is read when huggingface_hub is imported."""

import base64
import http.client
import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

import pytest
import tiny
from loopback_hub import LoopbackHub, seeded_faults

CHILD = "from huggingface_hub import HfApi, CommitOperationAdd\napi = HfApi()\n"
HEADER = {"key": "header", "value": {"summary": "a test"}}
PUSH = f"""{CHILD}
api.create_repo("tester/set", repo_type="dataset", exist_ok=True)
api.upload_file(path_or_fileobj=bytes(range(256)) * 800, path_in_repo="a.parquet", repo_id="tester/set", repo_type="dataset")
"""


def run(hub, environment, code):
    environment = environment | hub.environment
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def printed(hub, environment, code):
    done = run(hub, environment, code)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def ask(hub, method, path, body=None, token=LoopbackHub.token, **headers):
    """Status, headers and body of a reply, without a library of Hugging Face."""
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(hub.url + path, data, headers, method=method)
    try:
        with opener.open(request) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def commit(hub, *operations, **header):
    lines = [{"key": "header", "value": HEADER["value"] | header}, *operations]
    body = "\n".join(map(json.dumps, lines)).encode()
    return ask(hub, "POST", "/api/datasets/tester/set/commit/main", body)


def regular(path, content):
    return {
        "key": "file",
        "value": {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"},
    }


@pytest.fixture
def hub():
    with LoopbackHub() as hub:
        assert (
            ask(hub, "POST", "/api/repos/create", {"name": "set", "organization": None, "type": "dataset"})[0] == 200
        )
        yield hub


def test_two_configs_are_pushed_loaded_and_streamed(environment):
    code = """import datasets
rows = {"text": [f"{i} " * 2000 for i in range(400)]}
datasets.Dataset.from_dict(rows).push_to_hub("tester/set", config_name="pages", num_shards=3)
datasets.Dataset.from_dict({"question": ["why?"]}).push_to_hub("tester/set", config_name="questions")
print(datasets.load_dataset("tester/set", "questions", split="train")[0]["question"])
print(datasets.load_dataset("tester/set", "pages", split="train")["text"][:] == rows["text"])
print(next(iter(datasets.load_dataset("tester/set", "pages", split="train", streaming=True)))["text"] == rows["text"][0])
from huggingface_hub import HfFileSystem
with HfFileSystem().open("datasets/tester/set/questions/train-00000-of-00001.parquet") as file:
    file.seek(-4, 2)
    print(file.read())
"""
    with LoopbackHub(page_size=2) as hub:
        assert printed(hub, environment, code) == ["why?", "True", "True", "b'PAR1'"]
        files = hub.files("dataset", "tester/set")
        shards = [f"pages/train-0000{i}-of-00003.parquet" for i in range(3)]
        assert sorted(files) == [".gitattributes", "README.md", *shards, "questions/train-00000-of-00001.parquet"]
        assert b"config_name: questions" in files["README.md"]
        assert len(hub.commits("dataset", "tester/set")) == 3
        parquet = sum(len(content) for path, content in files.items() if path.endswith(".parquet"))
        assert parquet < hub.uploaded_bytes < parquet + 4000


def test_a_model_and_its_processor_are_pushed_and_loaded(tmp_path, environment):
    tiny.save_checkpoint(tmp_path / "model")
    code = f"""import os
from huggingface_hub import snapshot_download
from transformers import Qwen2_5_VLForConditionalGeneration as Model
from mmprolong_hf.encoding import load_processor
Model.from_pretrained({str(tmp_path / "model")!r}).push_to_hub("tester/model")
load_processor({str(tmp_path / "model")!r}).push_to_hub("tester/model")
print(Model.from_pretrained("tester/model").num_parameters(), load_processor("tester/model").tokenizer("a page")["input_ids"])
print(len(os.listdir(snapshot_download("tester/model"))))
"""
    with LoopbackHub() as hub:
        lines = printed(hub, environment, code)
        assert lines[0].endswith(str(tiny.processor().tokenizer("a page")["input_ids"]))
        files = hub.files("model", "tester/model")
        assert int(lines[1]) == len(files)
        assert {"config.json", "model.safetensors", "tokenizer.json"} < set(files)


@pytest.mark.parametrize("fault", ["429", "500", "cut", "lost", "slow"])
def test_a_client_gets_an_upload_through_each_fault(environment, fault):
    with LoopbackHub(lambda number, method, path: fault if method == "PUT" else "") as hub:
        printed(hub, environment, PUSH)
        assert hub.shown == {fault: 1 if fault == "slow" else 2}
        assert hub.files("dataset", "tester/set")["a.parquet"] == bytes(range(256)) * 800


@pytest.mark.parametrize(
    ("fault", "seen", "made"),
    [
        ("429", r"huggingface_hub\.errors\.HfHubHTTPError", False),
        ("500", r"huggingface_hub\.errors\.HfHubHTTPError", False),
        ("cut", r"httpx2\.\w+Error", False),
        ("lost", r"httpx2\.\w+Error", True),
    ],
)
def test_a_plain_client_sees_the_faults_of_a_commit(environment, fault, seen, made):
    with LoopbackHub(lambda number, method, path: fault if "/commit/" in path else "") as hub:
        done = run(hub, environment, PUSH)
        assert re.search(rf"^{seen}: ", done.stderr, re.MULTILINE), done.stderr[-2000:]
        assert ("a.parquet" in hub.files("dataset", "tester/set")) is made
        assert hub.shown == {fault: 1}


def test_a_person_edits_in_the_browser(hub):
    commit(hub, regular("README.md", b"# A set"), regular("a.txt", b"a"))
    hub.edit("dataset", "tester/set", {"README.md": b"# A better set", "a.txt": None})
    files = hub.files("dataset", "tester/set")
    assert (files["README.md"], set(files)) == (b"# A better set", {".gitattributes", "README.md"})
    assert [made.message for made in hub.commits("dataset", "tester/set")][::2] == [
        "Edited in the browser",
        "initial commit",
    ]


def test_a_cut_reply_ends_in_the_middle(hub):
    commit(hub, regular("a.txt", b"0123456789"))
    hub.faults = lambda number, method, path: "cut"
    with pytest.raises(Exception, match="5 bytes read, 5 more expected"):
        ask(hub, "GET", "/datasets/tester/set/resolve/main/a.txt")


def test_slow_bytes_take_their_time(hub):
    hub.faults, hub.bytes_per_second = lambda number, method, path: "slow", 10_000
    start = time.monotonic()
    assert commit(hub, regular("a.txt", bytes(3000)))[0] == 200
    assert time.monotonic() - start > 0.4


def test_a_request_is_failed_twice_until_the_next_commit(hub):
    hub.faults = lambda number, method, path: "" if "/commit/" in path else "429"
    statuses = [ask(hub, "GET", "/api/datasets/tester/set")[0] for _ in range(4)]
    commit(hub, regular("a.txt", b"a"))
    assert [*statuses, ask(hub, "GET", "/api/datasets/tester/set")[0]] == [429, 429, 200, 200, 429]
    assert hub.shown == {"429": 3}


def test_seeded_faults_come_in_their_shares():
    fault = seeded_faults(3, {"429": 0.1, "lost": 0.3})
    drawn = [fault(number, "GET", "/") for number in range(4000)]
    assert drawn == [seeded_faults(3, {"429": 0.1, "lost": 0.3})(number, "PUT", "/x") for number in range(4000)]
    assert drawn != [seeded_faults(4, {"429": 0.1, "lost": 0.3})(number, "GET", "/") for number in range(4000)]
    assert {name: round(count / 4000, 1) for name, count in Counter(drawn).items()} == {
        "": 0.6,
        "429": 0.1,
        "lost": 0.3,
    }


def test_a_client_sees_who_may_not_write_what(hub, environment):
    code = f"""{CHILD}
from huggingface_hub.utils import HfHubHTTPError
head = api.repo_info("tester/set", repo_type="dataset").sha
file = lambda name: [CommitOperationAdd(name, b"text")]
for call in (
    lambda: HfApi(token=False).create_commit("tester/set", file("a"), commit_message="m", repo_type="dataset"),
    lambda: HfApi(token="hf_other").create_commit("tester/set", file("a"), commit_message="m", repo_type="dataset"),
    lambda: api.create_repo("somebody/set", repo_type="dataset"),
    lambda: api.create_commit("tester/set", file("a"), commit_message="m", repo_type="dataset"),
    lambda: api.create_commit("tester/set", file("b"), commit_message="m", repo_type="dataset", parent_commit=head),
    lambda: api.create_repo("tester/set", repo_type="dataset"),
    lambda: api.repo_info("tester/none"),
    lambda: api.repo_info("tester/set", repo_type="dataset", revision="none"),
    lambda: api.upload_file(path_or_fileobj=b"---\\na: [\\n---\\n", path_in_repo="README.md", repo_id="tester/set", repo_type="dataset"),
):
    try:
        call()
        print("done")
    except HfHubHTTPError as error:
        print(error.response.status_code, type(error).__name__)
    except ValueError as error:
        print(error)
"""
    lines = printed(hub, environment, code)
    forbidden = [f"{status} HfHubHTTPError" for status in (401, 401, 403)]
    missing = ["404 RepositoryNotFoundError", "404 RevisionNotFoundError"]
    assert lines[:8] == [*forbidden, "done", "412 HfHubHTTPError", "409 HfHubHTTPError", *missing]
    assert lines[8] == "Invalid metadata in README.md."


def test_blobs_of_a_killed_push_need_no_second_upload(environment):
    with LoopbackHub() as hub:
        hub.on_request = lambda number, method, path: path.endswith("/verify") and child.kill()
        child = subprocess.Popen([sys.executable, "-c", PUSH], env=environment | hub.environment)
        assert child.wait() == -9
        hub.drain()
        hub.on_request = None
        assert len(hub.commits("dataset", "tester/set")) == 1
        assert hub.uploaded_bytes == 256 * 800
        printed(hub, environment, PUSH)
        assert Counter(method for method, _ in hub.requests)["PUT"] == 1
        assert len(hub.files("dataset", "tester/set")["a.parquet"]) == 256 * 800


def test_the_end_closes_what_clients_left_open():
    before = threading.active_count()
    with LoopbackHub() as hub:
        client = http.client.HTTPConnection("127.0.0.1", hub.server.server_port)
        client.request("GET", "/api/datasets/tester/none")
        assert client.getresponse().headers["X-Error-Code"] == "RepoNotFound"
        with pytest.raises(TimeoutError, match=r"1 connections are open after 0\.1 s"):
            hub.drain(0.1)
    assert threading.active_count() == before
    client.close()
    with pytest.raises(ConnectionRefusedError):
        client.request("GET", "/")
