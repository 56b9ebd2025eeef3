"""What a push did, as the Hub lists it afterwards."""

from dataclasses import dataclass


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
        lines += [f"deleted {path}" for path in self.deleted]
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
