"""LongVideoBench: multiple choice on videos with subtitles, as lmms-eval scores it: the official repository does
not."""

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from mmprolong_hf.evaluation.metrics.score import Score

CHOICES = ("A", "B", "C", "D", "E")
PREFIXES = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Best answer:",
    "Best option:",
)


def parse_multi_choice_response(
    response: str,
    all_choices: Sequence[str] = CHOICES,
    *,
    upstream_compat: bool = False,
    rng: random.Random | None = None,
) -> str | None:
    """
    The letter that an answer chooses, or `None` if it chooses none.

    Args:
        response (`str`): What the model answered.
        all_choices (`Sequence[str]`): The letters that the question offers.
        upstream_compat (`bool`): Delete the known openings, then take the first capital A to E even inside a word and
            even if the question does not offer it ("ANSWER: C" is A). By default the capital stands alone and is one
            of `all_choices`.
        rng (`random.Random`, *optional*): With `upstream_compat`, draws the letter where none is found, as upstream
            does from a generator that all rows share. Without it such an answer has no letter, which is wrong and
            costs nothing in chance.

    Source: lmms-eval 0.7.3, `lmms_eval/tasks/longvideobench/utils.py`.

    Example:

    ```python
    >>> parse_multi_choice_response("ANSWER: C"), parse_multi_choice_response("ANSWER: C", upstream_compat=True)
    ('C', 'A')
    >>> parse_multi_choice_response("I cannot tell") is None
    True
    >>> parse_multi_choice_response("I cannot tell", upstream_compat=True, rng=random.Random(0))
    'D'

    ```
    """
    if not upstream_compat:
        found = re.search(rf"(?<![^\W_])[{''.join(all_choices)}](?![^\W_])", response)
        return found[0] if found else None
    for prefix in PREFIXES:
        response = response.replace(prefix, "")
    found = re.search("[ABCDE]", response)
    if found:
        return found[0]
    return rng.choice(all_choices) if rng else None


def aggregate(results: Sequence[dict]) -> dict:
    """
    Shares of right answers, overall and by bucket.

    Args:
        results (`Sequence[dict]`): Rows with `duration_group` (seconds), `question_category`, `answer` (a letter, or a
            list of them) and `parsed_pred` (a letter or `None`).

    Returns:
        `dict`: `overall` and `buckets`, which maps each duration group and each question category, as text, to its
        share.

    Source: lmms-eval 0.7.3, `lmms_eval/tasks/longvideobench/utils.py`. Upstream averages over both kinds of bucket by
    their sizes, in which every row is twice: the same number.

    Example:

    ```python
    >>> row = {"duration_group": 15, "question_category": "S2E", "answer": "A"}
    >>> aggregate([row | {"parsed_pred": "A"}, row | {"parsed_pred": None}])
    {'overall': 0.5, 'buckets': {'15': 0.5, 'S2E': 0.5}}

    ```
    """
    right, buckets = [], defaultdict(list)
    for row in results:
        answers = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
        right.append(row["parsed_pred"] in answers)
        for bucket in (row["duration_group"], row["question_category"]):
            buckets[str(bucket)].append(right[-1])
    return {
        "overall": sum(right) / len(right) if right else 0.0,
        "buckets": {bucket: sum(found) / len(found) for bucket, found in buckets.items()},
    }


def timestamp_to_seconds(s: str) -> float:
    """
    Seconds of a time "hours:minutes:seconds".

    Raises:
        ValueError: if it has no three parts, or one is no number.

    Example:

    ```python
    >>> timestamp_to_seconds("1:02:03.5")
    3723.5

    ```
    """
    hours, minutes, seconds = s.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def compute_frame_timestamps(duration: float, max_num_frames: int = 16) -> list[float]:
    """
    When the frames that are shown were taken, in seconds: one a second, or `max_num_frames` evenly in a longer video.

    Example:

    ```python
    >>> compute_frame_timestamps(3.7, 8), compute_frame_timestamps(10, 4)
    ([0, 1, 2], [0.0, 2.5, 5.0, 7.5])

    ```
    """
    if duration > max_num_frames:
        return [duration / max_num_frames * index for index in range(max_num_frames)]
    return list(range(int(duration)))


def insert_subtitles_into_frames(ts: Sequence[float], subs: Sequence[dict], start: float, duration: float) -> str:
    """
    The prompt's line of images with each subtitle where its middle falls; one that no shown frame meets is left out.

    Args:
        ts (`Sequence[float]`): Times of the frames, in seconds from the start of the clip, increasing.
        subs (`Sequence[dict]`): In order, each with `timestamp` (from, to; seconds) and `text`, or `start`, `end`
            ("h:m:s") and `line`. An end that is not a float stands for the end of the video, as upstream has it.
        start (`float`): Where the clip starts, on the clock of the subtitles.
        duration (`float`): Of the video, in seconds.

    Source: lmms-eval 0.7.3, `lmms_eval/tasks/longvideobench/utils.py`.

    Example:

    ```python
    >>> insert_subtitles_into_frames([0, 5], [{"timestamp": [4.5, 6.0], "text": "Hello"}], 0, 12)
    '<image>\\n<image>\\nHello'

    ```
    """
    lines, num_shown = [], 0
    for sub in subs:
        first, last = _span(sub, duration)
        first, last = first - start, last - start
        middle = (first + last) / 2
        while num_shown < len(ts) and ts[num_shown] <= middle:
            lines.append("<image>")
            num_shown += 1
        if last - first < 1:
            first, last = middle - 0.5, middle + 0.5
        if any(first < time < last for time in ts):
            lines.append(sub["text"] if "timestamp" in sub else sub["line"])
    return "\n".join(lines + ["<image>"] * (len(ts) - num_shown))


def _span(sub: dict, duration: float) -> tuple[float, float]:
    if "timestamp" not in sub:
        return timestamp_to_seconds(sub["start"]), timestamp_to_seconds(sub["end"])
    first, last = sub["timestamp"]
    return first, last if isinstance(last, float) else duration


def score(gold: str, prediction: str, all_choices: Sequence[str] = CHOICES) -> Score:
    """
    1 if the answer chooses the right letter, else 0. The runner calls this.

    Args:
        gold (`str`): The right letter.
        prediction (`str`): What the model answered.
        all_choices (`Sequence[str]`): The letters that the question offers.

    Example:

    ```python
    >>> score("D", "D. A book"), score("D", "I cannot tell")
    (Score(value=1.0, error=None), Score(value=0.0, error='no letter of the choices in the answer'))

    ```
    """
    letter = parse_multi_choice_response(prediction, all_choices)
    return Score(float(letter == gold), None if letter else "no letter of the choices in the answer")
