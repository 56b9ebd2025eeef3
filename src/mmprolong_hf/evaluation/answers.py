"""The answers of a run: a line of JSON each, written as they come, found again after a stop."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def read_lines(path: str | Path) -> list[dict]:
    """
    The records of a file of JSON lines. A last line that a stop has torn is left out.

    Args:
        path (`str` or `Path`): The file; one that is not there has no records.

    Raises:
        ValueError: for a line that is complete and no JSON object.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "answers.jsonl")
    >>> _ = path.write_text('{"id": "a"}\\n{"id": "b", "predi')
    >>> read_lines(path)
    [{'id': 'a'}]

    ```
    """
    path = Path(path)
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number} is no JSON: {error}; remove the line, it is asked again"
            ) from error
        if not isinstance(record, dict):
            raise ValueError(f"{path}, line {number} is {record!r}, expected an object; remove the line")
        records.append(record)
    return records


class AnswerFile:
    """
    Appends records to a file of JSON lines. What is written survives a kill of the process; what is synced, the
    machine's.

    Args:
        path (`str` or `Path`): The file. A torn last line is cut off when it is opened.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "answers.jsonl")
    >>> with AnswerFile(path) as answers:
    ...     answers.write({"id": "a", "prediction": "5"})
    ...     answers.sync()
    >>> read_lines(path)
    [{'id': 'a', 'prediction': '5'}]

    ```
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __enter__(self) -> "AnswerFile":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+")
        self._file.seek(0)
        self._file.truncate(self._file.read().rfind(b"\n") + 1)
        return self

    def __exit__(self, *_) -> None:
        self.sync()
        self._file.close()

    def write(self, record: Mapping) -> None:
        """
        Appends a record. What is not ASCII is escaped: a model may write half of a surrogate pair, which UTF-8 cannot
        hold.
        """
        self._file.write(json.dumps(record).encode("ascii") + b"\n")
        self._file.flush()

    def sync(self) -> None:
        """Returns when all records are on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def current_answers(records: Iterable[Mapping], keys: Mapping[str, str]) -> dict[str, Mapping]:
    """
    The last record of each question, among those that were asked in the same words about the same pages.

    Args:
        records (`Iterable[Mapping]`): From [`read_lines`], with `id` and `key`.
        keys (`Mapping[str, str]`): A question's id -> its [`~mmprolong_hf.evaluation.requests.Context.key`].

    Returns:
        `dict[str, Mapping]`: A question's id -> its record; without the questions that have none.

    Example:

    ```python
    >>> records = [{"id": "a", "key": "old"}, {"id": "b", "key": "1"}, {"id": "b", "key": "1", "prediction": "again"}]
    >>> current_answers(records, {"a": "new", "b": "1"})
    {'b': {'id': 'b', 'key': '1', 'prediction': 'again'}}

    ```
    """
    return {record["id"]: record for record in records if keys.get(record["id"]) == record["key"]}


def write_whole(path: str | Path, content: str) -> None:
    """Writes a file under another name first, so that a stop leaves the old one or the new one."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)


def write_json(path: str | Path, content: object) -> None:
    """[`write_whole`] of JSON that reads well and is the same for the same content."""
    write_whole(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_lines(path: str | Path, records: Iterable[Mapping]) -> None:
    """[`write_whole`] of records, a line of JSON each."""
    write_whole(path, "".join(json.dumps(record) + "\n" for record in records))
