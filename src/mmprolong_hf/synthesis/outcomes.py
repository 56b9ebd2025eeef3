"""What a stage leaves of a document: its files, and the outcome that says what became of it."""

from pathlib import Path

from .document import Written
from .output import ROW, write_table
from .schema import DOCUMENT_FEATURES, ELEMENT_FEATURES, REJECTED_FEATURES
from .workers import Lost


def rejected_outcome(lost: Lost) -> dict:
    """
    The outcome of a document of which nothing is kept.

    Args:
        lost (`Lost`): Why.

    Example:

    ```python
    >>> rejected_outcome(Lost("encrypted", "it needs a password"))
    {'status': 'rejected', 'reason': 'encrypted', 'detail': 'it needs a password'}

    ```
    """
    return {"status": "rejected", "reason": lost.reason, "detail": lost.detail}


def write_outcome(written: Written, stem: Path, failures: list[dict]) -> dict:
    """
    Write the files of a document.

    Args:
        written (`Written`): What is kept of it.
        stem (`Path`): How its files begin.
        failures (`list[dict]`): `reason` and `detail` of each question that a model was to give and did not.

    Returns:
        `dict`: The outcome that stands for them.
    """
    write_table([written.row], DOCUMENT_FEATURES.arrow_schema, stem.with_name(f"{stem.name}{ROW}"))
    for rows, features, name in (
        (written.rejected, REJECTED_FEATURES, "rejected"),
        (written.elements, ELEMENT_FEATURES, "elements"),
    ):
        if rows:
            write_table(rows, features.arrow_schema, stem.with_name(f"{stem.name}.{name}.parquet"))
    row = written.row
    return {
        "status": "built",
        "num_pages": row["num_pages"],
        "num_tokens": sum(row["page_tokens"]),
        "engine": row["engine"],
        "dropped": dict(sorted(written.dropped.items())),
        "failures": failures,
    }
