"""A set that only refers to its PDFs, and a folder of your own copies: the set that trains as the original does."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.dataset_card import build_of, restored_card
from mmprolong_hf.hub.dataset_documents import find_documents
from mmprolong_hf.hub.dataset_files import read_splits
from mmprolong_hf.hub.dataset_pages import FORMS
from mmprolong_hf.hub.loading import from_hub
from mmprolong_hf.synthesis.output import CONFIGS, rows_of, write_documents
from mmprolong_hf.synthesis.output_folder import REPORT, check_output, partial_folder, replace_earlier
from mmprolong_hf.synthesis.plan import fingerprint
from mmprolong_hf.synthesis.publish import CHART
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES

MISSING = "missing.jsonl"
REFERENCES = FORMS["references"].folder
COPIED = "rejected"  # a part that stays as it is
TOLD = ["doc_id", "source", "url", "num_pages", "page_tokens"]


@dataclass(frozen=True)
class Restored:
    """
    What was restored.

    Args:
        output (`Path`): The folder.
        rows (`dict[str, int]`): Split -> documents.
        questions (`dict[str, int]`): Task -> questions.
        missing (`tuple[dict[str, str]]`): `name`, `url` and `sha256` of each document whose PDF was not found.
    """

    output: Path
    rows: dict[str, int]
    questions: dict[str, int]
    missing: tuple[dict[str, str], ...]

    def __str__(self) -> str:
        documents = sum(self.rows.values())
        splits = ", ".join(f"{split} {count}" for split, count in self.rows.items())
        lines = [
            f"{documents} of {documents + len(self.missing)} documents ({splits}), {sum(self.questions.values())} questions"
        ]
        if self.missing:
            lines.append(
                f"no PDF was found of {len(self.missing)} documents, which are left out ({MISSING} names all):"
            )
            lines += [f"  {m['name']} {m['url'] or '(no url)'} sha256 {m['sha256']}" for m in self.missing[:20]]
        return "\n".join([*lines, f"written to {self.output}"])


def restore_dataset(source: str | Path, pdfs: Path, output: Path, *, revision: str | None = None) -> Restored:
    """
    Write a set in the compact form (rows hold the `pdf`) from one that holds references, and PDFs that are found by their sha256.

    Documents whose PDF is not there are left out with their questions, and named in `missing.jsonl`. The folder appears under its
    name when it is complete; an earlier restored set there is replaced.

    Args:
        source (`str` or `Path`): Hub id of a dataset published with `--pages references`, or a folder of the same files.
        pdfs (`Path`): Folder, or list as `mmprolong build` takes it, of the PDFs under whatever names.
        output (`Path`): Folder to write.
        revision (`str`, *optional*): On the Hub.

    Raises:
        ValueError: when the source holds no references or cannot be had, none of its PDFs is found, or the output folder holds
            the PDFs or something else.

    Example:

    ```python
    print(restore_dataset("me/reports", Path("pdfs"), Path("sets/reports")))
    ```
    """
    output = check_output(Path(pdfs), Path(output), MISSING)
    folder = _fetch(source, revision)
    shards = {split: files.paths for split, files in read_splits(folder / REFERENCES, DOCUMENT_FEATURES).items()}
    rows = [row for paths in shards.values() for path in paths for row in rows_of(path, TOLD)]
    found = find_documents(pdfs, {row["doc_id"]: row["source"] for row in rows})
    if not found:
        raise ValueError(
            f"none of the {len(rows)} PDFs of {source} is in {pdfs} (the first is {rows[0]['source']}, sha256 {rows[0]['doc_id']}, "
            f"url {rows[0]['url'] or 'unknown'}); expected files of the very same bytes"
        )
    partial, tasks = partial_folder(output), Counter()
    counts = {split: write_documents(_filled(paths, found, tasks), partial, split) for split, paths in shards.items()}
    restored = Restored(
        output,
        {split: count for split, count in counts.items() if count},
        dict(sorted(tasks.items())),
        tuple(
            {"name": row["source"], "url": row["url"], "sha256": row["doc_id"]}
            for row in rows
            if row["doc_id"] not in found
        ),
    )
    _write_rest(folder, partial, source, restored, [row for row in rows if row["doc_id"] in found])
    replace_earlier(output, partial)
    return restored


def _fetch(source: str | Path, revision: str | None) -> Path:
    """The folder of a source, with all that is needed of it; nothing of another form of the pages is downloaded."""
    folder, needed = Path(source), (REFERENCES, "README.md", REPORT, CHART)
    if not folder.is_dir():
        wanted = [f"{name}/*" if name in (REFERENCES, COPIED) else name for name in (*needed, COPIED)]
        load = partial(snapshot_download, str(source), repo_type="dataset", revision=revision, allow_patterns=wanted)
        refusal = f"{source} is no folder, and as a dataset of the Hub it cannot be had"
        try:
            folder = Path(from_hub(load, refusal))
        except (HFValidationError, OfflineModeIsEnabled) as error:
            raise ValueError(f"{refusal} ({' '.join(str(error).split())}); name one that is there") from error
    if missing := [name for name in needed if not (folder / name).exists()]:
        raise ValueError(
            f"{source} has no {', '.join(missing)}: expected a dataset that was published with --pages references; one that holds "
            "images or PDFs needs no restoring"
        )
    return folder


def _filled(paths: tuple[Path, ...], found: dict[str, Path], tasks: Counter) -> Iterator[pa.Table]:
    """Rows with their PDFs, one at a time; counts their questions."""
    for row in (row for path in paths for row in rows_of(path)):
        if row["doc_id"] in found:
            row["pdf"] = found[row["doc_id"]].read_bytes()
            tasks.update(question["task"] for question in row["questions"])
            yield pa.Table.from_pylist([row], schema=DOCUMENT_FEATURES.arrow_schema)


def _write_rest(folder: Path, partial: Path, source: str | Path, restored: Restored, rows: list[dict]) -> None:
    """All but the rows: what the source tells of the whole set, with the numbers of this one."""
    if (folder / COPIED).is_dir():
        shutil.copytree(folder / COPIED, partial / COPIED)
    shutil.copyfile(folder / CHART, partial / CHART)
    lines = [json.dumps(document) + "\n" for document in restored.missing]
    (partial / MISSING).write_text("".join(lines), encoding="utf-8")
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    report |= {"folder": restored.output.name, "rows": restored.rows, "questions": restored.questions}
    report["pages"] = sum(row["num_pages"] for row in rows)
    report["page_tokens"] = sum(sum(row["page_tokens"]) for row in rows)
    report["plan"]["pages"]["store"] = "pdf"
    (partial / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    shards = {part: sorted(path.name for path in (partial / part).glob("*.parquet")) for part in CONFIGS}
    parts = {part: sorted({n.split("-")[0] for n in names}, reverse=True) for part, names in shards.items() if names}
    documents = sum(restored.rows.values())
    published = Card.parse((folder / "README.md").read_text(encoding="utf-8"))
    card = restored_card(
        published,
        Path(source).name if Path(source).is_dir() else str(source),
        parts,
        fingerprint(report["rows"], restored.missing, build_of(published)),
        (documents, documents + len(restored.missing)),
    )
    (partial / "README.md").write_text(str(card), encoding="utf-8")
