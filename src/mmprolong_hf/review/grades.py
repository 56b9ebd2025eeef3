"""What people said of a sample: the `review.json` that the page exports, checked against the set, and told in Markdown."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmprolong_hf.evaluation.metrics.statistics import wilson_interval
from mmprolong_hf.review.sample import draw_sample

FORMAT_VERSION = 1
CORRECT = "correct"
GRADES = (CORRECT, "wrong answer", "ambiguous", "wrong evidence")  # the keys 1 to 4 of the page
FIELDS = {"fingerprint": str, "seed": int, "split": str, "num_questions": int, "reviewer": str, "samples": list}
MAX_NAME = 80  # characters of a reviewer's name
PAPER = (97, 100)  # correct, graded: the check by hand that arXiv 2605.13831 reports
PAPERS_CHECK = (
    "The paper that this set follows (arXiv 2605.13831) had {graded} of its own pairs checked by hand, and {correct} were fully "
    "correct: {interval}. Those are other questions about other documents."
)


@dataclass(frozen=True)
class GradedSample:
    """
    One question and what the reviewer said of it.

    Args:
        doc_id (`str`): sha256 of the document.
        question (`str`): The text.
        task (`str`): Of the question.
        grade (`str`, *optional*): One of `GRADES`; `None` while it is not graded.
        note (`str`): The reviewer's own words, or nothing.
    """

    doc_id: str
    question: str
    task: str
    grade: str | None
    note: str


@dataclass(frozen=True)
class Review:
    """
    The grades of one person, from [`read_review`].

    Args:
        reviewer (`str`): The person's name.
        fingerprint (`str`): Of the drawn questions, [`~mmprolong_hf.review.sample.Draw.fingerprint`].
        seed (`int`): Of the draw.
        split (`str`): The questions are of it.
        num_questions (`int`): How many the split has.
        samples (`tuple[GradedSample]`): The drawn questions, in the order of the draw.
    """

    reviewer: str
    fingerprint: str
    seed: int
    split: str
    num_questions: int
    samples: tuple[GradedSample, ...]

    @property
    def graded(self) -> tuple[GradedSample, ...]:
        """Those that have a grade."""
        return tuple(sample for sample in self.samples if sample.grade is not None)


def read_review(path: Path) -> Review:
    """
    Read what the page exported.

    Args:
        path (`Path`): A `review.json`.

    Raises:
        ValueError: for a file that is missing, or is no such JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}), expected the file that the review page exports") from error
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        version = content.get("format_version") if isinstance(content, dict) else None
        raise ValueError(
            f"{path} has the format_version {version}, expected {FORMAT_VERSION}: export it from a page that this "
            "version of `mmprolong review` wrote"
        )
    for name, kind in FIELDS.items():
        if type(content.get(name)) is not kind:
            raise ValueError(f"{path} has {name} {content.get(name)!r:.80}, expected {kind.__name__}: export it again")
    name = content["reviewer"]
    if not name.strip() or len(name) > MAX_NAME or name.splitlines() != [name]:
        raise ValueError(f"{path} has reviewer {name!r:.120}, expected a name of 1 to {MAX_NAME} characters in a line")
    samples = tuple(_read_sample(path, number, row) for number, row in enumerate(content["samples"], 1))
    return Review(**{name: content[name] for name in FIELDS} | {"samples": samples})


def _read_sample(path: Path, number: int, row: object) -> GradedSample:
    texts = ("doc_id", "question", "task", "note")
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in texts):
        raise ValueError(
            f"{path} has no {', '.join(texts)} in sample {number}, expected a text for each: export it again"
        )
    if row.get("grade") not in (None, *GRADES):
        raise ValueError(
            f"{path} has the grade {row['grade']!r:.80} in sample {number}, expected null or one of {', '.join(GRADES)}"
        )
    return GradedSample(row["doc_id"], row["question"], row["task"], row.get("grade"), row["note"])


def check_review(review: Review, folder: Path) -> None:
    """
    Draw the sample again, and refuse grades of anything else. It reads what [`~mmprolong_hf.review.sample.draw_sample`] reads.

    Args:
        review (`Review`): From [`read_review`].
        folder (`Path`): The built set that the grades are said to be of.

    Raises:
        ValueError: if the set has not these questions, or the draw does not give them, or what was graded of them has changed.
    """
    sample = draw_sample(folder, num_samples=max(1, len(review.samples)), seed=review.seed, split=review.split)
    of = f"the review by {review.reviewer} has"
    again = "name the set that was graded, or grade this one: mmprolong review"
    if (len(review.samples), review.num_questions) != (len(sample.questions), sample.num_questions):
        raise ValueError(
            f"{of} {len(review.samples)} of {review.num_questions} questions, expected {len(sample.questions)} of the "
            f"{sample.num_questions} in the {review.split} split of {folder}: {again}"
        )
    for number, (graded, drawn) in enumerate(zip(review.samples, sample.questions), 1):
        for name in ("doc_id", "question", "task"):
            if getattr(graded, name) != drawn[name]:
                raise ValueError(
                    f"{of} as {name} of sample {number} {getattr(graded, name)!r:.120}, expected {drawn[name]!r:.120}, "
                    f"which seed {review.seed} draws from {folder}: {again}"
                )
    if review.fingerprint != sample.fingerprint:
        raise ValueError(
            f"{of} the fingerprint {review.fingerprint}, expected {sample.fingerprint}: the questions are in {folder}, but "
            f"one was left out of the file, or an answer or its evidence is not what was graded; {again}"
        )


def describe_reviews(reviews: Sequence[Review]) -> str:
    """
    What people found, in Markdown, for a card: shares with 95 % Wilson intervals, and all grades by task.

    Args:
        reviews (`Sequence[Review]`): One for each reviewer.

    Raises:
        ValueError: without a review, or with two by one reviewer.

    Example:

    ```python
    >>> sample = GradedSample("0" * 64, "On which page is Table 1?", "extract-single", "correct", "")
    >>> print(describe_reviews([Review("Ada", "0" * 16, 0, "train", 200, (sample,))]).partition(". ")[0])
    Ada graded 1 of 1 questions, drawn at random (seed 0) from the 200 of the train split

    ```
    """
    if not reviews:
        raise ValueError("there is no review, expected at least one")
    names = [review.reviewer for review in reviews]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"there is more than one review by {twice[0]}, expected one for each reviewer: leave one out")
    correct, graded = PAPER
    parts = ["\n\n".join(_describe(review) for review in reviews)]
    parts.append(PAPERS_CHECK.format(graded=graded, correct=correct, interval=_share(correct, graded)))
    return "\n\n".join(parts)


def _describe(review: Review) -> str:
    drawn, graded = len(review.samples), len(review.graded)
    correct = sum(sample.grade == CORRECT for sample in review.graded)
    lines = [
        f"{_plain(review.reviewer)} graded {graded} of {drawn} questions, drawn at random (seed {review.seed}) from the "
        f"{review.num_questions:,} of the {_plain(review.split)} split. {correct} of {graded} are correct: {_share(correct, graded)}."
    ]
    if graded < drawn:
        left = drawn - graded
        lines[0] += (
            f" {left} {'was' if left == 1 else 'were'} drawn and not graded, and may differ from those that were."
        )
    by_task = {"all": Counter(sample.grade for sample in review.graded)}
    for task in sorted({sample.task for sample in review.graded}):
        by_task[task] = Counter(sample.grade for sample in review.graded if sample.task == task)
    lines += ["", f"| task | graded | {' | '.join(GRADES)} |", f"|{'---|' * (len(GRADES) + 2)}"]
    lines += [_row(task, grades) for task, grades in by_task.items()]
    return "\n".join(lines)


def _row(task: str, grades: Mapping[str, int]) -> str:
    return f"| {_plain(task)} | {sum(grades.values())} | {' | '.join(str(grades[grade]) for grade in GRADES)} |"


def _share(correct: int, graded: int) -> str:
    """A share and its interval, in words."""
    if graded == 0:
        return "nothing is known yet"
    low, high = wilson_interval(correct, graded)
    return f"{100 * correct / graded:.1f} % (95 % Wilson interval {100 * low:.1f} to {100 * high:.1f} %)"


def _plain(text: str) -> str:
    """A text that Markdown and HTML take as it is written."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&$:@])", r"\\\1", text)
