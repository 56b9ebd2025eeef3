"""The loopback Hub's answers: from a request and what is stored to a reply, without a connection."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from loopback_hub_messages import Reply, Request, part_of
from loopback_hub_store import DATE, Commit, Refusal, Repository, check_metadata

ANSWERS: list[tuple[str, str, Callable]] = []
REPO = r"/api/(models|datasets)/([^/]+/[^/]+)"


@dataclass
class Storage:
    """
    What is on the Hub, for its one user.

    Args:
        page_size (`int`): Entries of a folder in one reply; clients ask for the next ones.
    """

    user: str
    token: str
    page_size: int
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)

    def reader(self, request: Request) -> str | None:
        if request.authorization not in (None, f"Bearer {self.token}"):
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.user if request.authorization else None

    def check_writer(self, request: Request, repo_id: str) -> None:
        if self.reader(request) is None:
            raise Refusal(401, "Invalid username or password.")
        if (namespace := repo_id.split("/")[0]) != self.user:
            raise Refusal(403, f'You do not have the rights to write under the namespace "{namespace}"')

    def repository(self, request: Request, kind: str | None, repo_id: str) -> Repository:
        """`kind` is as in URLs: "datasets", "datasets/", "models" or nothing."""
        reader = self.reader(request)
        repository = self.repositories.get(((kind or "models").rstrip("/").removesuffix("s"), repo_id))
        if repository is None or (repository.private and reader is None):
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return repository

    def answer(self, request: Request) -> Reply:
        path = urlsplit(request.target).path
        method = "GET" if request.method == "HEAD" else request.method
        try:
            for accepted, pattern, answer in ANSWERS:
                if method == accepted and (found := re.fullmatch(pattern, path)):
                    return answer(self, request, *(group and unquote(group) for group in found.groups()))
            raise Refusal(404, f"The loopback Hub has no {method} {path}")
        except Refusal as refusal:
            first = refusal.message.splitlines()[0].encode("ascii", "backslashreplace").decode()
            headers = {"X-Error-Message": first} | refusal.headers
            return Reply({"error": refusal.message, "errors": [{"message": refusal.message}]}, refusal.status, headers)


def answers(method: str, pattern: str) -> Callable[[Callable], Callable]:
    """A function answers requests whose quoted path matches; it gets the groups unquoted."""

    def register(function: Callable) -> Callable:
        ANSWERS.append((method, pattern, function))
        return function

    return register


@answers("GET", r"/api/whoami-v2")
def whoami(storage: Storage, request: Request) -> Reply:
    if storage.reader(request) is None:
        raise Refusal(401, "Invalid username or password.")
    token = {"type": "access_token", "accessToken": {"displayName": "tests", "role": "write"}}
    return Reply(
        {"type": "user", "id": "1", "name": storage.user, "fullname": storage.user, "orgs": [], "auth": token}
    )


@answers("POST", r"/api/validate-yaml")
def validate_yaml(storage: Storage, request: Request) -> Reply:
    warnings = (
        [] if check_metadata(request.json["content"]) else [{"message": "empty or missing yaml metadata in repo card"}]
    )
    return Reply({"errors": [], "warnings": warnings})


@answers("POST", r"/api/repos/create")
def create(storage: Storage, request: Request) -> Reply:
    asked = request.json
    kind, repo_id = asked.get("type") or "model", f"{asked.get('organization') or storage.user}/{asked['name']}"
    storage.check_writer(request, repo_id)
    url = f"{request.server}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    if (kind, repo_id) in storage.repositories:
        return Reply({"error": f"You already created this {kind} repo", "url": url}, 409)
    storage.repositories[kind, repo_id] = Repository(private=asked.get("visibility") == "private")
    return Reply({"url": url, "name": repo_id, "id": repo_id})


@answers("GET", REPO + r"(?:/revision/([^/]+))?")
def info(storage: Storage, request: Request, kind: str, repo_id: str, revision: str | None) -> Reply:
    repository = storage.repository(request, kind, repo_id)
    commit = repository.at(revision or "main")
    siblings = [{"rfilename": path} for path in sorted(commit.files)]
    if "blobs" in request.query:
        for sibling in siblings:
            entry = commit.entry(sibling["rfilename"])
            sibling |= {"size": entry["size"], "blobId": entry["oid"]}
            if "lfs" in entry:
                sibling["lfs"] = {"sha256": entry["lfs"].pop("oid"), **entry["lfs"]}
    facts = {"author": repo_id.split("/")[0], "lastModified": DATE, "createdAt": DATE, "private": repository.private}
    return Reply({"_id": "1", "id": repo_id, "sha": commit.sha, "siblings": siblings, "gated": False, "disabled": False,
                  "tags": [], "downloads": 0, "likes": 0, **facts})  # fmt: skip


@answers("GET", REPO + r"/refs")
def refs(storage: Storage, request: Request, kind: str, repo_id: str) -> Reply:
    branches = storage.repository(request, kind, repo_id).branches.items()
    listing = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": sha} for name, sha in branches]
    return Reply({"branches": listing, "tags": [], "converts": []})


@answers("GET", REPO + r"/commits/([^/]+)")
def history(storage: Storage, request: Request, kind: str, repo_id: str, revision: str) -> Reply:
    commits = storage.repository(request, kind, repo_id).history(revision)
    author = {"authors": [{"user": storage.user}], "date": DATE, "message": ""}
    return Reply([{"id": commit.sha, "title": commit.message, **author} for commit in commits])


@answers("GET", REPO + r"/tree/([^/]+)(?:/(.*))?")
def tree(storage: Storage, request: Request, kind: str, repo_id: str, revision: str, folder: str | None) -> Reply:
    commit, query = storage.repository(request, kind, repo_id).at(revision), request.query
    entries = commit.entries(folder or "", recursive=query.get("recursive", "").lower() in ("true", "1"))
    start = int(query.get("cursor", 0))
    end = start + storage.page_size
    following = urlencode(query | {"cursor": end})
    url = f"{request.server}{urlsplit(request.target).path}?{following}"
    headers = {"Link": f'<{url}>; rel="next"'} if end < len(entries) else {}
    return Reply(expanded(entries[start:end], commit, query.get("expand")), headers=headers)


@answers("POST", REPO + r"/paths-info/([^/]+)")
def paths_info(storage: Storage, request: Request, kind: str, repo_id: str, revision: str) -> Reply:
    commit, form = storage.repository(request, kind, repo_id).at(revision), parse_qs(request.body.decode())
    known = {*commit.files, *commit.folders()}
    entries = [commit.entry(path) for path in form["paths"] if path in known]
    return Reply(expanded(entries, commit, form["expand"][0]))


def expanded(entries: Sequence[dict], commit: Commit, asked: str | None) -> list[dict]:
    more = {"lastCommit": {"id": commit.sha, "title": commit.message, "date": DATE}}
    return [entry | more if (asked or "").lower() in ("true", "1") else entry for entry in entries]


@answers("POST", REPO + r"/branch/([^/]+)")
def branch(storage: Storage, request: Request, kind: str, repo_id: str, name: str) -> Reply:
    storage.check_writer(request, repo_id)
    storage.repository(request, kind, repo_id).create_branch(name, request.json.get("startingPoint", "main"))
    return Reply({})


@answers("POST", REPO + r"/preupload/([^/]+)")
def preupload(storage: Storage, request: Request, kind: str, repo_id: str, revision: str) -> Reply:
    storage.check_writer(request, repo_id)
    commit, files = storage.repository(request, kind, repo_id).at(revision), []
    for file in request.json["files"]:
        path, sample = file["path"], base64.b64decode(file["sample"])
        held = commit.files.get(path)
        mode = commit.upload_mode(path, file["size"], sample)
        oid = held and (held.sha256 if held.is_lfs else held.oid)
        files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return Reply({"files": files})


@answers("POST", REPO + r"/commit/([^/]+)")
def commit(storage: Storage, request: Request, kind: str, repo_id: str, name: str) -> Reply:
    storage.check_writer(request, repo_id)
    if "create_pr" in request.query:
        raise Refusal(400, "The loopback Hub has no pull requests")
    operations = [json.loads(line) for line in request.body.splitlines()]
    made = storage.repository(request, kind, repo_id).commit(name, operations)
    url = f"{request.server}/{'datasets/' if kind == 'datasets' else ''}{repo_id}/commit/{made.sha}"
    return Reply({"success": True, "commitUrl": url, "commitOid": made.sha, "hookOutput": ""})


@answers("POST", r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
def upload_places(storage: Storage, request: Request, kind: str | None, repo_id: str) -> Reply:
    storage.check_writer(request, repo_id)
    repository, objects = storage.repository(request, kind, repo_id), []
    for blob in request.json["objects"]:
        if repository.announce(blob["oid"], blob["size"]):
            place = f"{request.storage}/blobs/{kind or 'models/'}{repo_id}/{blob['oid']}"
            verify = request.server + urlsplit(request.target).path.removesuffix("batch") + "verify"
            blob["actions"] = {"upload": {"href": place}, "verify": {"href": verify}}
        objects.append(blob)
    return Reply({"transfer": "basic", "objects": objects})


@answers("POST", r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/verify")
def verify_upload(storage: Storage, request: Request, kind: str | None, repo_id: str) -> Reply:
    storage.check_writer(request, repo_id)
    storage.repository(request, kind, repo_id).verify(**request.json)
    return Reply({})


@answers("PUT", r"/blobs/(models|datasets)/([^/]+/[^/]+)/([0-9a-f]{64})")
def upload(storage: Storage, request: Request, kind: str, repo_id: str, oid: str) -> Reply:
    """Without a token: the address itself was given only to who may write."""
    storage.repositories[kind.removesuffix("s"), repo_id].receive(oid, request.body)
    return Reply()


@answers("GET", r"/blobs/(models|datasets)/([^/]+/[^/]+)/([0-9a-f]{64})")
def download(storage: Storage, request: Request, kind: str, repo_id: str, oid: str) -> Reply:
    return part_of(
        storage.repositories[kind.removesuffix("s"), repo_id].blobs[oid], request.range, {"ETag": f'"{oid}"'}
    )


@answers("GET", r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
def resolve(storage: Storage, request: Request, kind: str | None, repo_id: str, revision: str, path: str) -> Reply:
    commit = storage.repository(request, kind, repo_id).at(revision)
    headers = {"X-Repo-Commit": commit.sha}
    try:
        file = commit.file(path)
    except Refusal as refusal:
        refusal.headers |= headers  # clients remember that this commit has no such file
        raise
    headers["ETag"] = f'"{file.oid}"'
    if not file.is_lfs:
        return part_of(file.content, request.range, headers)
    place = f"{request.storage}/blobs/{kind or 'models/'}{repo_id}/{file.sha256}"
    linked = {"X-Linked-ETag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.content)), "Location": place}
    return Reply(b"Found", 302, headers | linked)
