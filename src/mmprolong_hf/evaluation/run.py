"""Asks an engine every question that has no answer yet, and writes each answer as it comes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from mmprolong_hf.evaluation.answers import AnswerFile, current_answers, read_lines
from mmprolong_hf.evaluation.requests import Answer, Ask, Context, Engine, failed_by_server

ANSWERS = "answers.jsonl"


@dataclass
class RunSummary:
    """
    What a call of [`run_contexts`] did.

    Args:
        num_questions (`int`): All questions of the run.
        num_kept (`int`): Those that had their answer before.
        num_failed (`int`): Those without an answer, of this call and before.
        prompt_tokens, prefilled_tokens (`int`): What the prompts of this call hold, and what of it was computed, where
            the engine tells.
        seconds (`float`): Of this call.
    """

    num_questions: int
    num_kept: int = 0
    num_failed: int = 0
    prompt_tokens: int = 0
    prefilled_tokens: int = 0
    seconds: float = field(default=0.0, repr=False)

    def __str__(self) -> str:
        text = f"{self.num_questions} questions, {self.num_kept} of them answered before, {self.num_failed} failed"
        if self.prefilled_tokens:
            shared = self.prompt_tokens / self.prefilled_tokens
            text += f"; {self.prefilled_tokens:,} of {self.prompt_tokens:,} prompt tokens computed"
            text += f" ({shared:.1f} times fewer)"
        if self.num_failed:
            text += "; `--set retry_failed=true` asks the failed ones again"
        return f"{text}; {self.seconds:.0f} s"


def run_contexts(
    contexts: Sequence[Context],
    engine: Engine,
    folder: str | Path,
    columns: Mapping[str, Mapping] | None = None,
    *,
    keys: Mapping[str, str] | None = None,
    retry_failed: bool = False,
) -> RunSummary:
    """
    Ask what has no answer yet in `folder`, context by context. A run that was stopped goes on when it is called again.

    A question whose words, pages or length have changed is asked again. An answer is on file before the next one is
    read, and on the disk before the next context.

    Args:
        contexts (`Sequence[Context]`): The questions; an `id` stands for one of them.
        engine (`Engine`): What answers.
        folder (`str` or `Path`): Holds the run; `answers.jsonl` is written there.
        columns (`Mapping[str, Mapping]`, *optional*): A question's id -> what its record says beside the answer:
            dataset, right answer, and so on.
        keys (`Mapping[str, str]`, *optional*): [`question_keys`] of the contexts, where they are known.
        retry_failed (`bool`): Ask again all that failed before. What failed by a server that did not reply, or read other
            pages, is always asked again.

    Raises:
        ValueError: when two questions have one id, when the folder holds answers of another engine or another run
            writes to it, or when the engine answers what was not asked.
    """
    keys, path, start = question_keys(contexts) if keys is None else keys, Path(folder, ANSWERS), time.monotonic()
    with AnswerFile(path) as file:  # before it is read: what another run writes now would be asked twice
        answered = current_answers(read_lines(path), keys)
        _check_engine(engine, answered, path)
        kept = {id: record for id, record in answered.items() if not _is_asked_again(record["error"], retry_failed)}
        failed = sum(record["error"] is not None for record in kept.values())
        summary = RunSummary(len(keys), len(kept), failed)
        with tqdm(total=len(keys), initial=len(kept), desc="questions", unit="question") as bar:
            for context in contexts:
                if not (asks := tuple(ask for ask in context.asks if ask.id not in kept)):
                    continue
                about = {"engine": engine.name, **_pages(context)}
                for ask, answer in _answers(engine, replace(context, asks=asks)):
                    own = {"id": ask.id, "key": keys[ask.id], "answer_start": ask.answer_start}
                    file.write(own | dict((columns or {}).get(ask.id, {})) | _said(answer) | about)
                    _count(summary, answer)
                    bar.set_postfix(failed=summary.num_failed, refresh=False)
                    bar.update()
                file.sync()
    summary.seconds = time.monotonic() - start
    return summary


def question_keys(contexts: Sequence[Context]) -> dict[str, str]:
    """
    The key of every question by its id. It reads all pages.

    Raises:
        ValueError: when two questions have one id.
    """
    keys = {}
    for context in contexts:
        for ask in context.asks:
            if ask.id in keys:
                raise ValueError(f"two questions have the id {ask.id!r}, expected one of each")
            keys[ask.id] = context.key(ask)
    return keys


def _is_asked_again(error: str | None, retry_failed: bool) -> bool:
    return error is not None and (retry_failed or failed_by_server(error))


def _check_engine(engine: Engine, answered: Mapping[str, Mapping], path: Path) -> None:
    if others := {record["engine"] for record in answered.values()} - {engine.name}:
        raise ValueError(
            f"{path} holds answers of {min(others)!r}, but this run's engine is {engine.name!r}: name another output "
            "folder"
        )


def _answers(engine: Engine, context: Context) -> Iterator[tuple[Ask, Answer]]:
    """One answer for each question: a question that the engine passes over has failed."""
    waiting = {ask.id: ask for ask in context.asks}
    for answer in engine.answer(context):
        if answer.id not in waiting:
            raise ValueError(f"{engine.name} answers {answer.id!r}, which was not asked or has its answer already")
        yield waiting.pop(answer.id), answer
    for id, ask in waiting.items():
        yield ask, Answer(id, "", error="the engine gave no answer")


def _pages(context: Context) -> dict:
    return {"num_pages": len(context.pages), "page_hashes": [page.sha256 for page in context.pages]}


def _said(answer: Answer) -> dict:
    return {
        "prediction": answer.text,
        "prompt_tokens": answer.prompt_tokens,
        "prefilled_tokens": answer.prefilled_tokens,
        "largest_position": answer.largest_position,
        "error": answer.error,
    }


def _count(summary: RunSummary, answer: Answer) -> None:
    summary.num_failed += answer.error is not None
    if answer.prefilled_tokens is not None:
        summary.prefilled_tokens += answer.prefilled_tokens
        summary.prompt_tokens += answer.prompt_tokens
