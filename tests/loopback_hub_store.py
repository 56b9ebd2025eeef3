"""What the loopback Hub keeps: repositories, their commits and branches, and the blobs of large files."""

import base64
import codecs
import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import yaml

DATE = "2026-01-01T00:00:00.000Z"
LARGEST_REGULAR_FILE = 10 * 2**20  # bytes
LFS_PATTERNS = ("*.arrow", "*.bin", "*.gz", "*.jpg", "*.npy", "*.parquet", "*.png", "*.safetensors", "*.zip")
LFS_LINE = "{} filter=lfs diff=lfs merge=lfs -text\n"


class Refusal(Exception):
    """An error that the Hub answers with: the HTTP status, its message, and its own error code where it has one."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = {"X-Error-Code": code} if code else {}


@dataclass(frozen=True)
class File:
    """A file of a commit; git holds only a pointer to one of the large file storage."""

    content: bytes
    is_lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def oid(self) -> str:
        """git's id of what git holds."""
        held = self.pointer if self.is_lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()

    @property
    def pointer(self) -> bytes:
        version = "https://git-lfs.github.com/spec/v1"
        return f"version {version}\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    def entry(self, path: str) -> dict:
        """As in a listing of the Hub's API."""
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        if self.is_lfs:
            size = {"size": len(self.content), "pointerSize": len(self.pointer)}
            entry["lfs"] = {"oid": self.sha256, **size}
        return entry


@dataclass(frozen=True)
class Commit:
    parent: str
    message: str
    files: Mapping[str, File]

    @cached_property
    def sha(self) -> str:
        """From the content, as git's: equal ones have equal names, so caches of another Hub's files stay right."""
        listing = "\n".join(f"{path} {file.oid}" for path, file in sorted(self.files.items()))
        return hashlib.sha1(f"{self.parent}\n{self.message}\n{listing}".encode()).hexdigest()

    def file(self, path: str) -> File:
        if path not in self.files:
            raise Refusal(404, f'Entry not found: "{path}"', "EntryNotFound")
        return self.files[path]

    def upload_mode(self, path: str, size: int, sample: bytes) -> str:
        """`"lfs"` for what .gitattributes names, large files and binary ones (told by their first bytes)."""
        large = self.names_as_lfs(path) or size > LARGEST_REGULAR_FILE or is_binary(sample)
        return "lfs" if large else "regular"

    def names_as_lfs(self, path: str) -> bool:
        lines = self.files[".gitattributes"].content.decode().splitlines()
        patterns = [line.split()[0] for line in lines if "filter=lfs" in line]
        return any(fnmatch.fnmatch(text, p) for p in patterns for text in (path, PurePosixPath(path).name))

    def folders(self) -> set[str]:
        return {str(folder) for path in self.files for folder in PurePosixPath(path).parents} - {"."}

    def entries(self, folder: str, recursive: bool) -> list[dict]:
        """Listing of a folder (`""` is the root). Raises Refusal where there is none."""
        if folder and folder not in self.folders():
            raise Refusal(404, f'"{folder}" does not exist on the revision', "EntryNotFound")
        paths = [path for path in sorted({*self.files, *self.folders()}) if path.startswith(f"{folder}/" if folder else "")]  # fmt: skip
        depth = len(PurePosixPath(folder).parts) + 1
        return [self.entry(path) for path in paths if recursive or len(PurePosixPath(path).parts) == depth]

    def entry(self, path: str) -> dict:
        if path in self.files:
            return self.files[path].entry(path)
        return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


class Repository:
    """
    Args:
        private (`bool`): Only its owner reads it.
    """

    def __init__(self, private: bool) -> None:
        attributes = "".join(LFS_LINE.format(pattern) for pattern in LFS_PATTERNS)
        first = Commit("", "initial commit", {".gitattributes": File(attributes.encode())})
        self.private = private
        self.commits = {first.sha: first}
        self.branches = {"main": first.sha}
        self.blobs: dict[str, bytes] = {}  # by sha256; they stay, whether a commit takes them or not
        self.announced: dict[str, int] = {}  # sizes in bytes of the blobs that a client said it would upload

    def at(self, revision: str) -> Commit:
        sha = self.branches.get(revision.removeprefix("refs/heads/"), revision)
        if sha not in self.commits:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def history(self, revision: str) -> list[Commit]:
        """Newest first."""
        commits = [self.at(revision)]
        while commits[-1].parent:
            commits.append(self.commits[commits[-1].parent])
        return commits

    def create_branch(self, name: str, start: str) -> None:
        if name in self.branches:
            raise Refusal(409, f"Reference already exists: refs/heads/{name}")
        self.branches[name] = self.at(start).sha

    def announce(self, oid: str, size: int) -> bool:
        """Whether the blob must be uploaded; from then on `receive` takes it."""
        self.announced[oid] = size
        return oid not in self.blobs

    def receive(self, oid: str, content: bytes) -> None:
        if oid not in self.announced:
            raise Refusal(403, f"Request has expired: no upload of {oid} was announced")
        if (found := len(content)) != self.announced[oid]:
            raise Refusal(400, f"BadDigest: {oid} has {found} bytes, {self.announced[oid]} were announced")
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refusal(400, f"BadDigest: the content is not the one announced as {oid}")
        self.blobs[oid] = content

    def verify(self, oid: str, size: int) -> None:
        if len(self.blobs.get(oid, b"")) != size:
            raise Refusal(404, f"The blob {oid} of {size} bytes was not uploaded")

    def commit(self, branch: str, operations: Sequence[dict]) -> Commit:
        """
        Makes one commit of all operations, or none.

        Args:
            branch (`str`): Whose head it follows.
            operations (`Sequence[dict]`): The lines of the commit endpoint: a header, then one for each file.

        Raises:
            Refusal: 412 when `parentCommit` is not the head, 400 for a blob that is not there, 404 for a deletion of nothing.
        """
        if branch not in self.branches:
            raise Refusal(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head, header = self.at(branch), operations[0]["value"]
        if header.get("parentCommit", head.sha) != head.sha:
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for operation in operations[1:]:
            self.apply(files, operation["key"], operation["value"])
        new = [path for path, file in files.items() if file.is_lfs and not head.names_as_lfs(path)]
        if new:  # as the Hub does it: a large file that no pattern names gets a line of its own
            attributes = files[".gitattributes"].content.decode() + "".join(map(LFS_LINE.format, new))
            files[".gitattributes"] = File(attributes.encode())
        commit = Commit(head.sha, header["summary"], files)
        self.commits[commit.sha] = commit
        self.branches[branch] = commit.sha
        return commit

    def apply(self, files: dict[str, File], key: str, value: dict) -> None:
        path = value["path"]
        if key == "file":
            files[path] = File(base64.b64decode(value["content"]))
            if len(files[path].content) > LARGEST_REGULAR_FILE:
                raise Refusal(400, f"{path} is larger than 10 MiB and no large file")
            if path == "README.md":
                check_metadata(files[path].content.decode())
        elif key == "lfsFile":
            if value["oid"] not in self.blobs:
                raise Refusal(400, f"{path} points to a large file that does not exist: {value['oid']}")
            files[path] = File(self.blobs[value["oid"]], is_lfs=True)
        elif key == "deletedFile":
            if files.pop(path, None) is None:
                raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        elif key == "deletedFolder":
            for name in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
                del files[name]
        else:
            raise Refusal(400, f"{key} is no operation of a commit")


def is_binary(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # a sample may end within a character
    except UnicodeDecodeError:
        return True
    return b"\0" in sample


def check_metadata(card: str) -> bool:
    """Whether a README.md has metadata. Raises Refusal (400) for metadata that is no YAML mapping."""
    if not card.startswith("---\n"):
        return False
    try:
        metadata = yaml.safe_load(card.split("\n---", 1)[0])
    except yaml.YAMLError as error:
        raise Refusal(400, f"bad YAML in the metadata: {error}") from error
    if not isinstance(metadata, dict | None):
        raise Refusal(400, "the metadata is no mapping")
    return bool(metadata)
