"""An engine whose answers outlive its process: each is on file as it comes, and is not asked for again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path

from mmprolong_hf.evaluation.answers import AnswerFile, current_answers, read_lines
from mmprolong_hf.evaluation.requests import Answer, Context, Engine


@contextmanager
def keep_answers(engine: Engine, path: str | Path) -> Iterator[Engine]:
    """
    An engine that asks another one only what it has not answered yet, and writes each answer to a file as it comes.

    An answer counts for its question's id and its [`~mmprolong_hf.evaluation.requests.Context.key`]. One to other words, other
    pages or another length is passed over and stays in the file. One that failed is asked for again.

    Args:
        engine (`Engine`): Answers what is not in the file. Which questions of a context it answers together may then differ from
            a run that was not stopped.
        path (`str` or `Path`): The file, a line of JSON for each answer. It is locked until the end of the `with`.

    Raises:
        ValueError: when the file holds answers of another engine, a line of it is broken, or another run writes to it.

    Example:

    ```python
    >>> import tempfile
    >>> from mmprolong_hf.evaluation.requests import Ask, PageImage
    >>> class Teller:
    ...     name = "teller"
    ...     def answer(self, context):
    ...         for ask in context.asks:
    ...             print("asked", ask.id)
    ...             yield Answer(ask.id, "yes")
    >>> path = Path(tempfile.mkdtemp(), "answers.jsonl")
    >>> for ids in ("a", "ab"):
    ...     context = Context((PageImage(b"a page"),), tuple(Ask(id, "Is it signed?") for id in ids))
    ...     with keep_answers(Teller(), path) as keeping:
    ...         print([answer.id for answer in keeping.answer(context)])
    asked a
    ['a']
    asked b
    ['a', 'b']

    ```
    """
    with AnswerFile(path) as file:  # before it is read: what another run writes now would be asked twice
        records = read_lines(path, ("id", "key", "engine", "text"))
        if others := {record["engine"] for record in records} - {engine.name}:
            raise ValueError(
                f"{path} holds answers of {min(others)!r}, but this run's engine is {engine.name!r}: name another output folder, "
                "or remove the file to ask everything again"
            )
        yield _KeepingEngine(engine, file, records)


class _KeepingEngine:
    def __init__(self, engine: Engine, file: AnswerFile, records: Sequence[Mapping]):
        self.name = engine.name
        self._engine, self._file, self._records = engine, file, records

    def answer(self, context: Context) -> Iterator[Answer]:
        keys = {ask.id: context.key(ask) for ask in context.asks}
        kept = {id: record for id, record in current_answers(self._records, keys).items() if record["error"] is None}
        for record in kept.values():
            yield Answer(**{field.name: record[field.name] for field in fields(Answer)})
        if asks := tuple(ask for ask in context.asks if ask.id not in kept):
            for answer in self._engine.answer(replace(context, asks=asks)):
                self._file.write({"key": keys[answer.id], "engine": self.name} | asdict(answer))
                yield answer
            self._file.sync()
