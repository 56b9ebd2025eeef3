"""Files and a card to a repository of the Hub: all in one commit, gone on with after a kill, compared afterwards."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff
from tqdm.auto import tqdm

from mmprolong_hf.hub.card import Card, merge
from mmprolong_hf.hub.retries import ATTEMPTS, FAILURES, is_passing, pause, persistently, root_of

README = "README.md"
AT_ONCE = 8  # files whose upload the bar sees as one


@dataclass(frozen=True)
class RemoteFile:
    """
    A file on the Hub.

    Args:
        path (`str`): In the repository.
        size (`int`): Bytes.
        sha256 (`str`): Of its content; of a small file that git holds itself, whose git hash was compared, that of the local one.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Pushed:
    """
    What a push did.

    Args:
        repo_id, repo_type, commit, url (`str`): Where it is.
        files (`tuple[RemoteFile]`): What was pushed, as the Hub lists it afterwards, each with the size and checksum of the local one.
        uploaded, deleted (`tuple[str]`): Paths that this push changed; none when all was there.
        kept_edits (`tuple[str]`): Parts of the card that a person has edited on the Hub and that therefore stay as they are.
    """

    repo_id: str
    repo_type: str
    commit: str
    url: str
    files: tuple[RemoteFile, ...]
    uploaded: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    kept_edits: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{file.sha256}  {file.size:>14,}  {file.path}" for file in self.files]
        if self.kept_edits:
            lines.append(f"kept as edited on the Hub: {', '.join(self.kept_edits)}")
        size = sum(file.size for file in self.files)
        changed = (
            f"{len(self.uploaded)} uploaded, {len(self.deleted)} deleted" if self.commit_made else "nothing to upload"
        )
        lines.append(
            f"{len(self.files)} files, {size:,} bytes, each of the size and checksum of the local one; {changed}"
        )
        lines.append(self.url)
        return "\n".join(lines)

    @property
    def commit_made(self) -> bool:
        """Whether anything had to be changed."""
        return bool(self.uploaded or self.deleted)


@dataclass(frozen=True)
class _Local:
    content: Path | bytes
    size: int
    sha256: str

    @classmethod
    def of(cls, content: Path | bytes) -> "_Local":
        if isinstance(content, bytes):
            return cls(content, len(content), hashlib.sha256(content).hexdigest())
        with content.open("rb") as file:
            return cls(content, content.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def is_in(self, remote: RepoFile | None) -> bool:
        if remote is None or remote.size != self.size:
            return False
        if remote.lfs is not None:
            return remote.lfs.sha256 == self.sha256
        data = self.content if isinstance(self.content, bytes) else self.content.read_bytes()
        return remote.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def push(
    repo_id: str,
    repo_type: str,
    files: Mapping[str, Path],
    card: Card,
    *,
    owned: Sequence[str],
    message: str,
    private: bool | None = None,
    revision: str | None = None,
) -> Pushed:
    """
    Makes a repository hold these files and this card. What is large is uploaded first, and then one commit shows all of it: a reader
    sees the earlier state or the new one. After a kill the same call uploads what is missing; of what is there nothing.

    Hashing reads every file once; uploading and the Hub's answers decide the time. The token is that of `huggingface_hub` (`HF_TOKEN`,
    or `hf auth login`).

    Args:
        repo_id (`str`): "name/repository"; made if it does not exist.
        repo_type (`str`): "model" or "dataset".
        files (`Mapping[str, Path]`): Path in the repository -> local file, without the README.md.
        card (`Card`): The README.md; merged with what a person has edited on the Hub (see [`~mmprolong_hf.hub.card.merge`]).
        owned (`Sequence[str]`): Patterns (`"data/*.parquet"`). Files on the Hub that one matches and that are not among `files` are
            deleted in the same commit.
        message (`str`): Of the commit.
        private (`bool`, *optional*): Of a repository that is made.
        revision (`str`, *optional*, defaults to `"main"`): A branch; made if it does not exist.

    Raises:
        ValueError: when there is no token, the Hub refuses it, it cannot be reached, or its listing is not of these files.
    """
    if get_token() is None:
        raise ValueError("there is no token for the Hub; set HF_TOKEN to one that may write, or run `hf auth login`")
    local = {path: _Local.of(files[path]) for path in tqdm(sorted(files), desc="checksums", unit="file")}
    api, branch = HfApi(), revision or "main"
    try:
        made = persistently(lambda: api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True))
        repo = _Repository(api, made.repo_id, repo_type, branch)
        if branch != "main":
            persistently(lambda: api.create_branch(repo.id, branch=branch, repo_type=repo_type, exist_ok=True))
        return repo.make_hold(local, card, owned, message)
    except OfflineModeIsEnabled as error:
        raise ValueError("HF_HUB_OFFLINE is set, and a push needs the Hub; unset it") from error
    except FAILURES as error:
        failure = root_of(error)
        if isinstance(failure, RuntimeError):
            raise
        raise ValueError(_refusal(failure, repo_id, api.endpoint)) from error


@dataclass(frozen=True)
class _Repository:
    api: HfApi
    id: str
    type: str
    branch: str

    def make_hold(self, local: dict[str, _Local], card: Card, owned: Sequence[str], message: str) -> Pushed:
        uploaded, deleted = (), ()
        for attempt in range(ATTEMPTS):
            head, there = self.state()
            readme, kept = self.merged(card, there, owned, head)
            wanted = local | {README: readme}
            changed = [path for path in wanted if not wanted[path].is_in(there.get(path))]
            gone = [path for path in there if path not in wanted and any(fnmatch(path, each) for each in owned)]
            if not changed and not gone:
                listed = tuple(RemoteFile(path, wanted[path].size, wanted[path].sha256) for path in sorted(wanted))
                prefix = f"{self.api.endpoint}/datasets" if self.type == "dataset" else self.api.endpoint
                url = f"{prefix}/{self.id}/tree/{head}"
                return Pushed(self.id, self.type, head, url, listed, uploaded, deleted, kept)
            uploaded, deleted = tuple(sorted({*uploaded, *changed})), tuple(sorted({*deleted, *gone}))
            try:
                self.commit({path: wanted[path] for path in changed}, gone, head, message)
            except FAILURES as error:
                # Perhaps it was made and only the answer lost, or another commit came first: what is there tells
                moved = isinstance(error, HfHubHTTPError) and error.response.status_code == 412
                if not moved and (not is_passing(error) or attempt == ATTEMPTS - 1):
                    raise
                time.sleep(0 if moved else pause(error, attempt))
        raise ValueError(
            f"after {ATTEMPTS} commits {self.id} still does not hold what was pushed ({', '.join([*changed, *gone][:3])} differ); "
            "someone else pushes to it, or it leaves out files by its .gitignore"
        )

    def state(self) -> tuple[str, dict[str, RepoFile]]:
        """The commit at the head of the branch, and its files."""
        head = persistently(lambda: self.api.repo_info(self.id, repo_type=self.type, revision=self.branch)).sha
        tree = persistently(
            lambda: list(self.api.list_repo_tree(self.id, repo_type=self.type, revision=head, recursive=True))
        )
        return head, {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}

    def merged(self, card: Card, there: Mapping, owned: Sequence[str], head: str) -> tuple[_Local, tuple[str, ...]]:
        """The README.md to commit, byte for byte that of the Hub where no part of it changes."""
        text = self.read(README, head) if README in there else ""
        published = Card.parse(text)
        result, kept = merge(card, published, owned)
        return _Local.of((text if str(result) == str(published) else str(result)).encode()), kept

    def read(self, path: str, commit: str) -> str:
        url = hf_hub_url(self.id, path, repo_type=self.type, revision=commit, endpoint=self.api.endpoint)
        response = http_backoff("GET", url, headers=build_hf_headers(), follow_redirects=True)
        hf_raise_for_status(response)
        return response.content.decode()

    def commit(self, changed: Mapping[str, _Local], gone: Sequence[str], head: str, message: str) -> None:
        added = [CommitOperationAdd(path, file.content) for path, file in changed.items()]
        sizes = [file.size for file in changed.values()]
        with tqdm(total=sum(sizes), desc="upload", unit="B", unit_scale=True) as bar:
            for start in range(0, len(added), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                persistently(
                    lambda part=part: self.api.preupload_lfs_files(
                        self.id, added[part], repo_type=self.type, revision=self.branch, free_memory=False
                    )
                )
                bar.update(sum(sizes[part]))
        operations = [*added, *(CommitOperationDelete(path) for path in gone)]
        self.api.create_commit(
            self.id,
            operations,
            commit_message=message,
            repo_type=self.type,
            revision=self.branch,
            parent_commit=head,
        )


def _refusal(error: Exception, repo_id: str, endpoint: str) -> str:
    if not isinstance(error, HfHubHTTPError):
        return f"the Hub at {endpoint} cannot be reached ({error}); the same command goes on later"
    status = error.response.status_code
    reason = {
        401: "the token is missing, wrong or expired; set HF_TOKEN to one that may write",
        403: f"the token may not write to {repo_id}; take one with write access to that namespace",
        404: f"{repo_id} does not exist or is not shown to this token",
        429: "too many requests; the same command goes on later",
    }.get(status, "the same command goes on with what is missing" if status >= 500 else "see its words")
    return f"the Hub answered {status} ({error.server_message or error}): {reason}"
