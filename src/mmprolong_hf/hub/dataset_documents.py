"""Finds the PDFs of documents by what is in them, whatever the files are called."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tqdm.auto import tqdm

from mmprolong_hf.synthesis.sources import find_pdfs


def find_documents(pdfs: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """
    The file of each document. Files of the wanted names are looked at first, and none after the last one is found.

    Args:
        pdfs (`Path`): As [`~mmprolong_hf.synthesis.sources.find_pdfs`] takes it: a folder, or a list of paths.
        wanted (`Mapping[str, str]`): The sha256 of each document -> the name of its file when the set was built.

    Returns:
        `dict[str, Path]`: sha256 -> file, of those that were found.

    Raises:
        ValueError: as [`~mmprolong_hf.synthesis.sources.find_pdfs`].

    Example:

    ```python
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "renamed.pdf").write_bytes(b"%PDF-")
    >>> digest = hashlib.sha256(b"%PDF-").hexdigest()
    >>> {key == digest: path.name for key, path in find_documents(folder, {digest: "a.pdf", "0" * 64: "b.pdf"}).items()}
    {True: 'renamed.pdf'}

    ```
    """
    names, found = {Path(name).name for name in wanted.values()}, {}
    candidates = sorted((Path(item["path"]) for item in find_pdfs(pdfs)), key=lambda path: path.name not in names)
    for path in tqdm(candidates, desc="find PDFs", unit="PDF", delay=2):
        if len(found) == len(wanted):
            break
        if path.is_file():  # a list may name files that are gone
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest in wanted:
                found[digest] = path
    return found
