"""Files and a card to a repository of the Hub: all in one commit, gone on with after a kill, compared afterwards."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff, validate_repo_id
from tqdm.auto import tqdm

from mmprolong_hf.hub.card import Card, merge
from mmprolong_hf.hub.pushed import Pushed, RemoteFile
from mmprolong_hf.hub.retries import ATTEMPTS, FAILURES, is_passing, persistently, refusal, root_of, wait

README = "README.md"
AT_ONCE = 8  # files whose upload the bar sees as one


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


def check_repo_id(repo_id: str) -> None:
    """
    Raises:
        ValueError: for what is no "name/repository": a card says how to load it from there.
    """
    validate_repo_id(repo_id)
    if "/" not in repo_id:
        raise ValueError(f"repo_id is {repo_id!r}, expected name/{repo_id}: the card says how to load it from there")


def push(
    repo_id: str,
    repo_type: str,
    files: Mapping[str, Path | bytes],
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

    Every file is read once for its checksum, and once more to be uploaded; uploading decides the time. The token is that of `huggingface_hub` (`HF_TOKEN`,
    or `hf auth login`).

    Args:
        repo_id (`str`): "name/repository"; made if it does not exist.
        repo_type (`str`): "model" or "dataset".
        files (`Mapping[str, Path | bytes]`): Path in the repository -> local file or content, without the README.md.
        card (`Card`): The README.md; merged with what a person has edited on the Hub (see [`~mmprolong_hf.hub.card.merge`]).
        owned (`Sequence[str]`): Patterns (`"data/*.parquet"`). Files on the Hub that one matches and that are not among `files` are
            deleted in the same commit.
        message (`str`): Of the commit.
        private (`bool`, *optional*): Of a repository that is made; nothing is pushed to one that is there and not so.
        revision (`str`, *optional*, defaults to `"main"`): A branch; made if it does not exist.

    Raises:
        ValueError: when there is no token, the Hub refuses it, it cannot be reached, or its listing is not of these files.
    """
    token = get_token()
    if token is None:
        raise ValueError("there is no token for the Hub; set HF_TOKEN to one that may write, or run `hf auth login`")
    if not token.isascii():
        raise ValueError("the token holds letters that no token of the Hub has; set HF_TOKEN as the Hub shows it")
    api, branch = HfApi(), revision or "main"
    try:
        made = persistently(lambda: api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True))
        repo = _Repository(api, made.repo_id, repo_type, branch)
        if private is not None:
            repo.check_private(private)
        if branch != "main":
            persistently(lambda: api.create_branch(repo.id, branch=branch, repo_type=repo_type, exist_ok=True))
        # After the Hub has taken the token: this reads every file
        local = {path: _Local.of(files[path]) for path in tqdm(sorted(files), desc="checksums", unit="file")}
        return repo.synchronize(local, card, owned, message)
    except OfflineModeIsEnabled as error:
        raise ValueError("HF_HUB_OFFLINE is set, and a push needs the Hub; unset it") from error
    except FAILURES as error:
        failure = root_of(error)
        if isinstance(failure, RuntimeError):
            raise
        raise ValueError(refusal(failure, repo_id, api.endpoint)) from error


@dataclass(frozen=True)
class _Repository:
    api: HfApi
    id: str
    type: str
    branch: str

    def synchronize(self, local: dict[str, _Local], card: Card, owned: Sequence[str], message: str) -> Pushed:
        uploaded, deleted, made = (), (), None
        for attempt in range(ATTEMPTS):
            head, there = self.state(made)
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
                made = self.commit({path: wanted[path] for path in changed}, gone, head, message)
            except FAILURES as error:
                # Perhaps it was made and only the answer lost, or another commit came first: what is there tells
                made = None
                moved = isinstance(error, HfHubHTTPError) and error.response.status_code == 412
                if not moved and (not is_passing(error) or attempt == ATTEMPTS - 1):
                    raise
                if not moved:
                    wait(error, attempt)
        raise ValueError(
            f"after {ATTEMPTS} tries {self.id} still does not hold what was pushed ({', '.join([*changed, *gone][:3])} differ); "
            "someone else pushes to it, or it leaves out files by its .gitignore"
        )

    def check_private(self, private: bool) -> None:
        """A repository that was there keeps its visibility, and a mistake in it cannot be taken back."""
        found = persistently(lambda: self.api.repo_info(self.id, repo_type=self.type)).private
        if found != private:
            is_now, wanted = ("private", "public") if found else ("public", "private")
            raise ValueError(f"{self.id} is {is_now} already, and {wanted} was asked; change it in its settings first")

    def state(self, commit: str | None) -> tuple[str, dict[str, RepoFile]]:
        """The commit of this push, whatever has followed it, or else the head of the branch; and its files."""
        at = commit or self.branch
        head = persistently(lambda: self.api.repo_info(self.id, repo_type=self.type, revision=at)).sha
        tree = persistently(
            lambda: list(self.api.list_repo_tree(self.id, repo_type=self.type, revision=head, recursive=True))
        )
        return head, {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}

    def merged(self, card: Card, there: Mapping, owned: Sequence[str], head: str) -> tuple[_Local, tuple[str, ...]]:
        """The README.md to commit, byte for byte that of the Hub where no part of it changes."""
        data = self.read(README, head) if README in there else b""
        try:
            text = data.decode()
            published = Card.parse(text)
            result, kept = merge(card, published, owned)
        except ValueError as error:
            raise ValueError(f"{README} of {self.id} on the Hub: {error}") from error
        return _Local.of((text if str(result) == str(published) else str(result)).encode()), kept

    def read(self, path: str, commit: str) -> bytes:
        url = hf_hub_url(self.id, path, repo_type=self.type, revision=commit, endpoint=self.api.endpoint)
        response = http_backoff("GET", url, headers=build_hf_headers(), follow_redirects=True)
        hf_raise_for_status(response)
        return response.content

    def commit(self, changed: Mapping[str, _Local], gone: Sequence[str], head: str, message: str) -> str:
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
        # The upload has read each file a second time, and knows what it read
        other = [op.path_in_repo for op in added if op.upload_info.sha256.hex() != changed[op.path_in_repo].sha256]
        if other:
            raise ValueError(f"{other[0]} changed while it was pushed; push again when nothing writes to the folder")
        operations = [*added, *(CommitOperationDelete(path) for path in gone)]
        return self.api.create_commit(
            self.id,
            operations,
            commit_message=message,
            repo_type=self.type,
            revision=self.branch,
            parent_commit=head,
        ).oid
