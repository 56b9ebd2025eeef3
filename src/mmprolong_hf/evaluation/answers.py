"""The answers of a run: a line of JSON each, written as they come, found again after a stop."""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

REMEDY = "remove the line, and the same command writes it again"


def read_lines(path: str | Path, strings: Sequence[str] = ("id", "key")) -> list[dict]:
    """
    The records of a file of JSON lines. A last line that a stop has torn is left out.

    Args:
        path (`str` or `Path`): The file; one that is not there has no records.
        strings (`Sequence[str]`): Fields that every record has, with a text in each.

    Raises:
        ValueError: for a line that is complete and no JSON object with these fields.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "answers.jsonl")
    >>> _ = path.write_text('{"id": "a", "key": "1"}\\n{"id": "b", "predi')
    >>> read_lines(path)
    [{'id': 'a', 'key': '1'}]

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
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number} is no JSON: {error}; {REMEDY}") from error
        if not isinstance(record, dict) or not all(isinstance(record.get(name), str) for name in strings):
            raise ValueError(
                f"{path}, line {number} is {_begin(record)}, expected an object with a text in {' and '.join(strings)}; {REMEDY}"
            )
        records.append(record)
    return records


def _begin(record: object) -> str:
    text = repr(record)
    return text if len(text) <= 80 else f"{text[:80]}..."


class AnswerFile:
    """
    Appends records to a file of JSON lines. What is written survives a kill of the process; what is synced, the
    machine's. It is locked while it is open, so that a second run does not write between the lines of the first.

    Args:
        path (`str` or `Path`): The file. A torn last line is cut off when it is opened.

    Raises:
        ValueError: when another run has it open.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "answers.jsonl")
    >>> with AnswerFile(path) as answers:
    ...     answers.write({"id": "a", "key": "1", "prediction": "5"})
    ...     answers.sync()
    >>> read_lines(path)
    [{'id': 'a', 'key': '1', 'prediction': '5'}]

    ```
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __enter__(self) -> "AnswerFile":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ValueError(
                f"another run is writing to {self.path.parent}: wait until it is done, or name another output folder"
            ) from error
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
    """Writes a file under a name of this process first, so that a stop leaves the old one or the new one."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        # before the new name: a machine that stops in between must not leave that name with nothing behind it
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: str | Path, content: object) -> None:
    """[`write_whole`] of JSON that reads well and is the same for the same content."""
    write_whole(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_lines(path: str | Path, records: Iterable[Mapping]) -> None:
    """[`write_whole`] of records, a line of JSON each."""
    write_whole(path, "".join(json.dumps(record) + "\n" for record in records))
