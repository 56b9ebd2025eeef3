import base64
import hashlib
import json

import pytest
from loopback_hub_messages import Reply, Request
from loopback_hub_requests import Storage

API = "/api/datasets/tester/set"
BATCH = "/datasets/tester/set.git/info/lfs/objects/batch"
CONTENT = b"large" * 100
OID = hashlib.sha256(CONTENT).hexdigest()
PLACE = f"/blobs/datasets/tester/set/{OID}"


class Client:
    def __init__(self, page_size=1000):
        self.storage = Storage("tester", "hf_tests", page_size)

    def ask(self, method, target, body=b"", token="hf_tests", range=None) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        authorization = f"Bearer {token}" if token else None
        return self.storage.answer(Request(method, target, authorization, range, data, "http://hub", "http://storage"))

    def commit(self, *operations, branch="main", **header):
        lines = [{"key": "header", "value": {"summary": "a test"} | header}, *operations]
        return self.ask("POST", f"{API}/commit/{branch}", "\n".join(map(json.dumps, lines)).encode())

    def announce(self):
        reply = self.ask("POST", BATCH, {"objects": [{"oid": OID, "size": len(CONTENT)}]})
        return json.loads(reply.body)["objects"][0].get("actions")

    @property
    def repository(self):
        return self.storage.repositories["dataset", "tester/set"]

    def files(self, revision="main"):
        return {path: file.content for path, file in self.repository.at(revision).files.items()}


@pytest.fixture
def client():
    client = Client()
    assert client.ask("POST", "/api/repos/create", {"name": "set", "type": "dataset"}).status == 200
    return client


def regular(path, content):
    return {
        "key": "file",
        "value": {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"},
    }


def large(path):
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": OID, "size": len(CONTENT)}}


@pytest.mark.parametrize("target", ["/api/repos/create", f"{API}/commit/main", f"{API}/preupload/main", f"{API}/branch/b", BATCH])  # fmt: skip
@pytest.mark.parametrize(
    ("token", "message"), [(None, "Invalid username"), ("hf_other", "Invalid credentials in Auth")]
)
def test_no_write_without_the_token(client, target, token, message):
    reply = client.ask("POST", target, {"name": "x", "files": [], "objects": []}, token=token)
    assert reply.status == 401
    assert message in reply.headers["X-Error-Message"]


@pytest.mark.parametrize("action", ["commit/main", "preupload/main", "branch/b"])
def test_no_write_in_the_namespace_of_another(client, action):
    assert client.ask("POST", f"/api/datasets/somebody/set/{action}", {}).status == 403


def test_a_large_file_must_be_announced_whole_and_there(client):
    head = client.repository.at("main")
    assert client.ask("PUT", PLACE, CONTENT).status == 403
    assert set(client.announce()) == {"upload", "verify"}
    assert client.ask("PUT", PLACE, CONTENT[:-1]).status == 400
    assert client.ask("PUT", PLACE, CONTENT[:-1] + b"!").status == 400
    assert client.ask("POST", BATCH.replace("batch", "verify"), {"oid": OID, "size": 500}).status == 404
    refused = client.commit(regular("README.md", b"good"), large("a.parquet"))
    assert (refused.status, b"points to a large file that does not exist" in refused.body) == (400, True)
    assert client.repository.at("main") is head  # all of it or nothing
    assert client.ask("PUT", PLACE, CONTENT, token=None).status == 200
    assert client.ask("POST", BATCH.replace("batch", "verify"), {"oid": OID, "size": 500}).status == 200
    assert client.announce() is None
    assert client.commit(regular("README.md", b"good"), large("a.parquet")).status == 200
    assert client.files()["a.parquet"] == CONTENT


def test_a_large_file_is_of_the_announced_size(client):
    client.ask("POST", BATCH, {"objects": [{"oid": OID, "size": len(CONTENT) - 1}]})
    reply = client.ask("PUT", PLACE, CONTENT)
    assert (reply.status, b"has 500 bytes, 499 were announced" in reply.body) == (400, True)


def test_a_large_file_that_no_pattern_names_gets_its_line(client):
    client.announce()
    client.ask("PUT", PLACE, CONTENT)
    client.commit(large("a.parquet"), large("model.gguf"))
    assert client.files()[".gitattributes"].endswith(b"\nmodel.gguf filter=lfs diff=lfs merge=lfs -text\n")
    assert b"a.parquet" not in client.files()[".gitattributes"]


@pytest.mark.parametrize(
    ("path", "size", "sample", "mode"),
    [
        ("data/a.parquet", 4, b"text", "lfs"),
        ("README.md", 8, "größer".encode()[:-1], "regular"),
        ("README.md", 6, "größe".encode()[:3], "regular"),  # the sample ends within a character
        ("report.pdf", 9, b"%PDF-\xe2\xe3\xcf\xd3", "lfs"),
        ("zeros", 3, b"\0\0\0", "lfs"),
        ("tokenizer.json", 10 * 2**20, b"{", "regular"),
        ("tokenizer.json", 10 * 2**20 + 1, b"{", "lfs"),
    ],
)
def test_what_is_a_large_file(client, path, size, sample, mode):
    asked = {"files": [{"path": path, "size": size, "sample": base64.b64encode(sample).decode()}]}
    files = json.loads(client.ask("POST", f"{API}/preupload/main", asked).body)["files"]
    assert files == [{"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None}]


def test_a_commit_follows_the_head_only(client):
    head = client.repository.at("main").sha
    assert client.commit(regular("a", b"1"), parentCommit=head).status == 200
    assert client.commit(regular("a", b"2"), parentCommit=head).status == 412
    assert client.commit(regular("a", b"3")).status == 200
    assert client.files()["a"] == b"3"


@pytest.mark.parametrize(
    ("operation", "status", "message"),
    [
        ({"key": "deletedFile", "value": {"path": "bö"}}, 404, "A file with this name doesn't exist: b\\xf6"),
        (regular("README.md", b"---\na: [\n---\n"), 400, "bad YAML in the metadata"),
        (regular("README.md", b"---\njust text\n---\n"), 400, "the metadata is no mapping"),
        (regular("a.txt", bytes(10 * 2**20 + 1)), 400, "a.txt is larger than 10 MiB and no large file"),
        ({"key": "renamedFile", "value": {"path": "b"}}, 400, "renamedFile is no operation of a commit"),
    ],
)
def test_what_a_commit_refuses(client, operation, status, message):
    reply = client.commit(regular("a", b"1"), operation)
    assert (reply.status, message in reply.headers["X-Error-Message"]) == (status, True)
    assert set(client.files()) == {".gitattributes"}


def test_there_are_no_pull_requests(client):
    assert client.ask("POST", f"{API}/commit/main?create_pr=1", b"").status == 400


def test_branches_and_commits_are_read_by_name(client):
    first = client.repository.at("main").sha
    client.commit(regular("data/a.txt", b"a"), regular("data/b.txt", b"b"))
    assert client.ask("POST", f"{API}/branch/old%2Fone", {"startingPoint": first}).status == 200
    assert client.ask("POST", f"{API}/branch/main", {}).status == 409
    client.commit(regular("c.txt", b"c"), branch="old%2Fone")
    assert set(client.files("old/one")) == {".gitattributes", "c.txt"}
    assert set(client.files(first)) == {".gitattributes"}
    client.commit({"key": "deletedFolder", "value": {"path": "data/"}})
    reply = client.ask("HEAD", "/datasets/tester/set/resolve/main/data/a.txt")
    assert (reply.status, reply.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert reply.headers["X-Repo-Commit"] == client.repository.at("main").sha
    assert client.ask("GET", f"{API}/revision/none").headers["X-Error-Code"] == "RevisionNotFound"


def test_long_listings_come_in_pages():
    client = Client(page_size=2)
    client.ask("POST", "/api/repos/create", {"name": "set", "type": "dataset"})
    client.commit(*(regular(f"data/{name}.txt", b"") for name in "abc"))
    target, paths = f"{API}/tree/main?recursive=True", []
    while target:
        reply = client.ask("GET", target)
        paths += [entry["path"] for entry in json.loads(reply.body)]
        target = reply.headers.get("Link", "").partition(">")[0].removeprefix("<http://hub")
    assert paths == [".gitattributes", "data", "data/a.txt", "data/b.txt", "data/c.txt"]
    assert [entry["path"] for entry in json.loads(client.ask("GET", f"{API}/tree/main").body)] == paths[:2]


def test_a_private_repository_is_hidden(client):
    asked = {"name": "secret", "organization": "tester", "type": "dataset", "visibility": "private"}
    assert client.ask("POST", "/api/repos/create", asked).status == 200
    replies = [client.ask("GET", "/api/datasets/tester/secret", token=token) for token in ("hf_tests", None)]
    assert [(reply.status, reply.headers.get("X-Error-Code")) for reply in replies] == [
        (200, None),
        (404, "RepoNotFound"),
    ]


@pytest.mark.parametrize(("asked", "status", "body"), [(None, 200, b"0123456789"), ("bytes=2-4", 206, b"234"), ("bytes=7-", 206, b"789"), ("bytes=-2", 206, b"89"), ("bytes=8-99", 206, b"89"), ("bytes=10-", 416, b"")])  # fmt: skip
def test_ranges(client, asked, status, body):
    client.commit(regular("a.txt", b"0123456789"))
    reply = client.ask("GET", "/datasets/tester/set/resolve/main/a.txt", range=asked)
    assert (reply.status, reply.body) == (status, body)


def test_large_files_are_elsewhere(client):
    client.announce()
    client.ask("PUT", PLACE, CONTENT)
    client.commit(large("a.parquet"))
    reply = client.ask("HEAD", "/datasets/tester/set/resolve/main/a.parquet")
    assert (reply.status, reply.headers["Location"]) == (302, f"http://storage{PLACE}")
    assert (reply.headers["X-Linked-ETag"], reply.headers["X-Linked-Size"]) == (f'"{OID}"', "500")
    assert client.ask("GET", PLACE, range="bytes=0-4").body == b"large"
