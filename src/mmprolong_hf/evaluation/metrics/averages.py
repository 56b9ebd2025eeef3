"""From scores of datasets, 0 to 100, to the averages that papers print: MMLongBench's categories, MMProLong's ALL."""

from collections.abc import Iterable, Mapping, Sequence

# Dataset and the column that MMLongBench's figure scripts print it under.
COLUMNS = {
    "infoseek": "InfoSeek",
    "viquae": "ViQuAE",
    "vh_single": "VH-Single",
    "vh_multi": "VH-Multi",
    "mm_niah_retrieval-text": "MM-NIAH-Ret (T)",
    "mm_niah_counting-text": "MM-NIAH-Count (T)",
    "mm_niah_reasoning-text": "MM-NIAH-Reason (T)",
    "mm_niah_retrieval-image": "MM-NIAH-Ret (I)",
    "mm_niah_counting-image": "MM-NIAH-Count (I)",
    "mm_niah_reasoning-image": "MM-NIAH-Reason (I)",
    "cars196": "Stanford Cars",
    "food101": "Food101",
    "inat2021": "Inat2021",
    "sun397": "SUN397",
    "gov-report": "GovReport",
    "multi-lexsum": "Multi-LexSum",
    "longdocurl": "LongDocURL",
    "mmlongdoc": "MMLongBench-Doc",
    "slidevqa": "SlideVQA",
}
# What each average is the mean of, in an order in which every part is known before it is needed.
AVERAGES = {
    "VRAG": ("InfoSeek", "ViQuAE"),
    "MM-NIAH-Ret": ("MM-NIAH-Ret (T)", "MM-NIAH-Ret (I)"),
    "MM-NIAH-Count": ("MM-NIAH-Count (T)", "MM-NIAH-Count (I)"),
    "MM-NIAH-Reason": ("MM-NIAH-Reason (T)", "MM-NIAH-Reason (I)"),
    "NIAH": ("VH-Single", "VH-Multi", "MM-NIAH-Ret", "MM-NIAH-Count", "MM-NIAH-Reason"),
    "ICL": ("Stanford Cars", "Food101", "Inat2021", "SUN397"),
    "Summ": ("GovReport", "Multi-LexSum"),
    "DocVQA": ("LongDocURL", "MMLongBench-Doc", "SlideVQA"),
    "Ours": ("VRAG", "NIAH", "ICL", "Summ", "DocVQA"),
}
HAYSTACKS = ("vh_single", "vh_multi")
VTCBENCH_WEIGHTS = {"retrieval": 800, "reasoning": 800, "memory": 600}  # number of questions


def mean(values: Iterable[float | None]) -> float | None:
    """
    The mean, or `None` if there is no value or one of them is missing: an average of what happens to be there compares
    to nothing.

    Args:
        values (`Iterable[float | None]`): A missing value is `None`.

    Example:

    ```python
    >>> mean([40.0, 60.0]), mean([40.0, None]), mean([])
    (50.0, None, None)

    ```
    """
    values = list(values)
    return None if not values or None in values else sum(values) / len(values)


def dataset_score(
    scores: Sequence[float], parsed_outputs: Sequence[str], *, upstream_compat: bool = False
) -> float | None:
    """
    A dataset's score: 100 times the mean over all questions, where a failure is a 0.

    Args:
        scores (`Sequence[float]`): One for each question, 0 to 1.
        parsed_outputs (`Sequence[str]`): The answers that were scored, empty where there was none.
        upstream_compat (`bool`): Leave out questions with an empty answer, as upstream's `eval_api.py` does. That
            raises the score of a model that says nothing.

    Returns:
        `float` or `None`: 0 to 100; `None` without a question.

    Raises:
        ValueError: when there are not as many answers as scores.

    Example:

    ```python
    >>> dataset_score([1.0, 0.0], ["5", ""]), dataset_score([1.0, 0.0], ["5", ""], upstream_compat=True)
    (50.0, 100.0)

    ```
    """
    if len(scores) != len(parsed_outputs):
        raise ValueError(
            f"{len(scores)} scores and {len(parsed_outputs)} answers, expected one of each for every question"
        )
    counted = [value for value, output in zip(scores, parsed_outputs) if output or not upstream_compat]
    return None if not counted else 100 * mean(counted)


def category_averages(scores: Mapping[int | str, Mapping[str, float | None]]) -> list[dict]:
    """
    MMLongBench's table: for each context length, all datasets and the averages of [`AVERAGES`], of which `"Ours"` is
    the overall.

    An average with a missing part is `None`. Visual Haystack is a yes-or-no question, so that an accuracy below 50
    says the opposite and counts as 100 minus it.

    Args:
        scores (`Mapping`): Context length in tokens -> dataset (a key of `COLUMNS`) -> score, 0 to 100.

    Returns:
        `list[dict]`: A row for each length, which stands under `"input_max_length"`.

    Raises:
        ValueError: for an unknown dataset.

    Source: EdinburghNLP/MMLongBench at 22b9f27, figure_scripts/utils.py.

    Example:

    ```python
    >>> scores = {"longdocurl": 62.69, "mmlongdoc": 36.0, "slidevqa": 80.0, "vh_single": 40.0}
    >>> row = category_averages({65536: scores})[0]
    >>> round(row["DocVQA"], 2), row["VH-Single"], row["NIAH"]
    (59.56, 60.0, None)

    ```
    """
    rows = []
    for length, of_length in scores.items():
        if unknown := set(of_length) - set(COLUMNS):
            raise ValueError(f"unknown datasets {sorted(unknown)}, expected some of {sorted(COLUMNS)}")
        row = {"input_max_length": int(length)}
        for dataset, column in COLUMNS.items():
            value = of_length.get(dataset)
            row[column] = 100 - value if dataset in HAYSTACKS and value is not None and value < 50 else value
        for name, parts in AVERAGES.items():
            row[name] = mean(row[part] for part in parts)
        rows.append(row)
    return rows


def mmprolong_averages(
    scores: Mapping[int | str, Mapping[str, float | None]], lengths: Sequence[int] = (65536, 131072)
) -> dict:
    """
    MMProLong's headline (arXiv 2605.13831): `"AVG"`, the mean of the three document sets at each length, and `"ALL"`,
    their mean.

    Args:
        scores (`Mapping`): As in [`category_averages`].
        lengths (`Sequence[int]`): The context lengths in tokens that `"ALL"` is the mean of.

    Returns:
        `dict` with `"AVG"` (`dict` of length -> `float` or `None`) and `"ALL"` (`float` or `None`).

    Example:

    ```python
    >>> scores = {65536: {"longdocurl": 62.69, "mmlongdoc": 36.0, "slidevqa": 80.0}}
    >>> averages = mmprolong_averages(scores)
    >>> round(averages["AVG"][65536], 2), averages["AVG"][131072], averages["ALL"]
    (59.56, None, None)

    ```
    """
    document_vqa = {row["input_max_length"]: row["DocVQA"] for row in category_averages(scores)}
    averages = {length: document_vqa.get(length) for length in lengths}
    return {"AVG": averages, "ALL": mean(averages.values())}


def mm_niah_average(scores: Mapping[str, float | None]) -> float | None:
    """
    MMProLong's MM-NIAH average of one context length: retrieval, counting and reasoning, each over text and images,
    without Visual Haystack.

    Args:
        scores (`Mapping[str, float | None]`): Dataset (a key of `COLUMNS`) -> score, 0 to 100.

    Example:

    ```python
    >>> scores = {"retrieval": 74.83, "counting": 27.67, "reasoning": 67.33}
    >>> average = mm_niah_average({f"mm_niah_{t}-{kind}": scores[t] for t in scores for kind in ("text", "image")})
    >>> round(average, 2)
    56.61

    ```
    """
    row = category_averages({0: scores})[0]
    return mean(row[name] for name in ("MM-NIAH-Ret", "MM-NIAH-Count", "MM-NIAH-Reason"))


def vtcbench_average(scores: Mapping[str, float | None]) -> float | None:
    """
    MMProLong's VTCBench-Wild average: each split weighs as many as it has questions.

    Args:
        scores (`Mapping[str, float | None]`): `"retrieval"`, `"reasoning"` and `"memory"`, 0 to 100.

    Example:

    ```python
    >>> round(vtcbench_average({"retrieval": 91.75, "reasoning": 22.88, "memory": 40.50}), 2)
    52.73

    ```
    """
    values = {split: scores.get(split) for split in VTCBENCH_WEIGHTS}
    if None in values.values():
        return None
    return sum(weight * values[split] for split, weight in VTCBENCH_WEIGHTS.items()) / sum(VTCBENCH_WEIGHTS.values())
