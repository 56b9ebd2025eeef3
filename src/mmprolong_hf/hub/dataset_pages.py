"""The forms in which a set's pages are published, and the rows of a form that the folder does not hold."""

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from mmprolong_hf.hub.dataset_documents import find_documents
from mmprolong_hf.hub.dataset_files import BuiltSet
from mmprolong_hf.synthesis.output import CONFIGS, ShardWriter, rows_of
from mmprolong_hf.synthesis.output_folder import one_build, partial_folder
from mmprolong_hf.synthesis.plan import fingerprint
from mmprolong_hf.synthesis.render import PdfPages
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


@dataclass(frozen=True)
class PageForm:
    """
    A form of the pages.

    Args:
        folder (`str`): Of its shards in the repository.
        row (`str`): What one row is.
    """

    folder: str
    row: str


FORMS = {
    "images": PageForm("data", CONFIGS["data"][1]),
    "pdf": PageForm(
        "pdf", "One row is one document with its questions and its PDF, which the pages are rendered from"
    ),
    "references": PageForm(
        "references", "One row is one document with its questions; its PDF is named by sha256, source, url and license"
    ),
}


def check_forms(pages: tuple[str, ...]) -> None:
    """
    Args:
        pages (`tuple[str]`): Of `FORMS`, each at most once.

    Raises:
        ValueError: for any other.

    Example:

    ```python
    >>> check_forms(("images", "pngs"))
    Traceback (most recent call last):
    ...
    ValueError: pages is images, pngs; expected each at most once of images, pdf, references

    ```
    """
    if len(set(pages)) < len(pages) or not set(pages) <= set(FORMS):
        raise ValueError(f"pages is {', '.join(pages)}; expected each at most once of {', '.join(FORMS)}")


def publish_folder(folder: Path) -> Path:
    """Where rows of other forms are kept, beside the set; once it is published the folder may be deleted."""
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.publish")


def shards_of(built: BuiltSet, form: str, pdfs: Path | None) -> dict[str, list[Path]]:
    """
    The shards of a form: those of the folder, or else written beside it, of the same rows in the same order.

    Each shard of the folder is converted on its own and is there whole or not at all, so a call after a kill goes on. The same set
    gives the same bytes.

    Args:
        built (`BuiltSet`): The set.
        form (`str`): One of `FORMS`.
        pdfs (`Path`, *optional*): Folder or list of the PDFs; needed for "pdf" if the folder holds images.

    Returns:
        `dict[str, list[Path]]`: Split -> shards.

    Raises:
        ValueError: when PDFs are needed and not named, or some are not there; when pages are to be rendered and another version of
            what rendered them is installed; when another process is at it, or the folder beside the set cannot be written.
    """
    data = built.parts["data"]
    if form == built.store:
        return {split: list(files.paths) for split, files in data.items()}
    work = publish_folder(built.folder)
    units = {shard: _unit(work, form, shard) for files in data.values() for shard in files.paths}
    try:
        with one_build(work):
            todo = {shard: unit for shard, unit in units.items() if not unit.exists()}
            files = _find_all(list(todo), pdfs, built.folder) if form == "pdf" else {}
            _write_units(todo, form, files)
            for old in set(work.glob(f"{form}-*")) - set(units.values()):
                shutil.rmtree(old)  # of an earlier build
    except OSError as error:
        raise ValueError(
            f"the rows with {form} are written to {work}, and {error}; give it room and the right to write"
        ) from error
    return {
        split: [path for shard in files.paths for path in sorted(units[shard].iterdir())]
        for split, files in data.items()
    }


def _unit(work: Path, form: str, shard: Path) -> Path:
    """The folder of what becomes of one shard. Its name changes with the shard, and with the code and libraries that write it."""
    stat = shard.stat()
    return work / f"{form}-{shard.stem}-{fingerprint(stat.st_size, stat.st_mtime_ns)}"


def _write_units(todo: dict[Path, Path], form: str, files: dict[str, Path]) -> None:
    total = sum(pq.read_metadata(shard).num_rows for shard in todo)
    schema = DOCUMENT_FEATURES.arrow_schema
    # Of a reference nothing of the pages is read
    left_out = ("images", "pdf") if form == "references" else ()
    columns = [name for name in DOCUMENT_FEATURES if name not in left_out]
    with tqdm(total=total, desc=f"write {form}", unit="document", delay=2) as bar:
        for shard, unit in todo.items():
            partial = partial_folder(unit)
            with ShardWriter(partial, shard.name.partition("-")[0], schema) as writer:
                for row in rows_of(shard, columns):
                    writer.write(pa.Table.from_pylist([_converted(row, form, files)], schema=schema))
                    bar.update()
            partial.rename(unit)


def _converted(row: dict, form: str, files: dict[str, Path]) -> dict:
    if form == "references":
        return row | {"images": [], "pdf": None}
    if not row["engine"]:  # a short sample of another data set: it has images and was never a PDF
        return row
    if form == "pdf":
        return row | {"images": [], "pdf": files[row["doc_id"]].read_bytes()}
    name, _, wanted = row["engine"].partition(" ")
    if wanted != version(name):
        raise ValueError(
            f"the pages of {row['source']} are those of {row['engine']}, and {version(name)} is installed, which may draw them with "
            f"other pixels; install {name}=={wanted}, or build the set again"
        )
    return row | {"images": PdfPages(row["pdf"], row["dpi"], row["engine"], row["image_format"])[:], "pdf": None}


def _find_all(shards: list[Path], pdfs: Path | None, folder: Path) -> dict[str, Path]:
    """sha256 -> file of each document of the shards."""
    wanted = {
        row["doc_id"]: row["source"]
        for shard in shards
        for row in pq.read_table(shard, columns=["doc_id", "source", "engine"]).to_pylist()
        if row["engine"]
    }
    if not wanted:
        return {}
    if pdfs is None:
        raise ValueError(
            f"pages names pdf, and {folder} holds images; name the folder or list of the PDFs that it was built from"
        )
    found = find_documents(pdfs, wanted)
    if missing := [f"{name} (sha256 {key})" for key, name in wanted.items() if key not in found]:
        raise ValueError(
            f"{len(missing)} of {len(wanted)} PDFs are not in {pdfs}: {', '.join(missing[:3])}; expected every document of the set, "
            "unchanged. Name the PDFs that it was built from, or leave pdf out of pages"
        )
    return found
