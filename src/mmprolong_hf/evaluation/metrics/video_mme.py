"""Video-MME: multiple choice on videos, from the result files of other harnesses."""

import re
from collections import defaultdict
from collections.abc import Sequence

from mmprolong_hf.evaluation.metrics.score import Score

# Upstream's list lacks two commas, so that its last two entries are two phrases each, which no answer holds.
PREFIXES = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option isThe correct option is",
    "Best answer:Best option:",
)


def extract_characters_regex(s: str, *, upstream_compat: bool = False) -> str:
    """
    The letter A, B, C or D that an answer chooses, or "" if it chooses none.

    Args:
        s (`str`): What the model answered.
        upstream_compat (`bool`): Take the first of these capitals even inside a word, as upstream does, so that "Best
            answer: C" is read as B, "Answer: D" as A and "Definitely B" as D. By default the capital stands alone.

    Source: Video-MME 4e7566d, `evaluation/eval_your_results.py`.

    Example:

    ```python
    >>> extract_characters_regex("Best answer: C"), extract_characters_regex("Best answer: C", upstream_compat=True)
    ('C', 'B')
    >>> extract_characters_regex("(D)."), extract_characters_regex("Because")
    ('D', '')

    ```
    """
    if upstream_compat:
        for prefix in PREFIXES:
            s = s.replace(prefix, "")
        found = re.search("[ABCD]", s)
    else:
        found = re.search(r"(?<![^\W_])[ABCD](?![^\W_])", s)
    return found[0] if found else ""


def eval_your_results(
    results: Sequence[dict], video_types: Sequence[str], *, upstream_compat: bool = False
) -> dict[str, dict[str, float]]:
    """
    Percentages of right answers by kind of video and of question.

    Args:
        results (`Sequence[dict]`): One row a video, with `duration_category`, `video_category`, `missing` and
            `questions`; each of these has `task_type`, `answer` (the right letter) and `response`.
        video_types (`Sequence[str]`): The values of `duration_category` that count, such as "short", "medium" and
            "long".
        upstream_compat (`bool`): Read letters as upstream, leave answers without a letter and missing videos out of
            the denominator, round to one decimal and leave out what is 0 %: upstream's report does not tell none right
            from none answered. By default every question of every video counts, one without a letter as wrong.

    Returns:
        `dict`: For every video type and for `"all"`, percentages by `video_category`, by `task_type` and `"Overall"`.

    Source: Video-MME 4e7566d, `evaluation/eval_your_results.py` (with its `skip_missing`).

    Example:

    ```python
    >>> questions = [{"task_type": "OCR Problems", "answer": "A", "response": text} for text in ("A", "I cannot tell")]
    >>> video = {"duration_category": "short", "video_category": "Knowledge", "missing": False, "questions": questions}
    >>> eval_your_results([video], ["short"])["all"]
    {'Knowledge': 50.0, 'OCR Problems': 50.0, 'Overall': 50.0}
    >>> eval_your_results([video], ["short"], upstream_compat=True)["all"]["Overall"]
    100.0

    ```
    """
    right = {video_type: defaultdict(list) for video_type in (*video_types, "all")}
    for video in results:
        if video["duration_category"] not in video_types or (upstream_compat and video["missing"]):
            continue
        for question in video["questions"]:
            response = "" if video["missing"] else question["response"]
            letter = extract_characters_regex(response, upstream_compat=upstream_compat)
            if letter or not upstream_compat:
                for video_type in (video["duration_category"], "all"):
                    for group in (video["video_category"], question["task_type"], "Overall"):
                        right[video_type][group].append(letter == question["answer"])
    report = {name: {group: _percentage(found) for group, found in groups.items()} for name, groups in right.items()}
    if not upstream_compat:
        return report
    return {
        name: {group: round(share, 1) for group, share in groups.items() if round(share, 1)}
        | {"Overall": round(groups.get("Overall", 0.0), 1)}
        for name, groups in report.items()
    }


def _percentage(right: Sequence[bool]) -> float:
    return 100 * sum(right) / len(right)


def score(gold: str, prediction: str) -> Score:
    """
    1 if the answer chooses the right letter, else 0. The runner calls this.

    Args:
        gold (`str`): The right letter.
        prediction (`str`): What the model answered.

    Example:

    ```python
    >>> score("C", "The best answer is C."), score("C", "I cannot tell")
    (Score(value=1.0, error=None), Score(value=0.0, error='no letter A to D in the answer'))

    ```
    """
    letter = extract_characters_regex(prediction)
    return Score(float(letter == gold), None if letter else "no letter A to D in the answer")
