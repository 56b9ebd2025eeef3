"""
Scores that VLMEvalKit gave on video and short-context suites, and our answers as a file that it can score.

The files are read by what is in them. Names of columns and keys are those of open-compass/VLMEvalKit (vlmeval/dataset/videomme.py,
longvideobench.py, mlvu.py, mmlongbench.py, image_vqa.py, and utils/multiple_choice.py, mathvista.py; stored copies up to e8e78f0,
read and not run). No file of a real run could be read where this was written, so one of another layout is an error that says what was
found. Tables of Excel are not read: `PRED_FORMAT=tsv EVAL_FORMAT=csv` makes VLMEvalKit write others.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from mmprolong_hf.evaluation.answers import write_whole
from mmprolong_hf.evaluation.scoring_run import RULES

# MODEL_SUITE_JUDGE_acc.csv, say: the suites of MMProLong's tables and MMLongBench, and the ends of files that hold scores.
SUITE = re.compile(
    r"(?<=_)(Video-MME(?!-v2)|LongVideoBench|MLVU(?:_MCQ)?|MMBench_(?:DEV|TEST)_(?:EN|CN)(?:_V11)?|RealWorldQA|MMMU_DEV_VAL"
    r"|MMMU_Pro_10c|MathVista_MINI|OCRBench(?!_v2)|MMLongBench_(?:DOC|\d+K))(?=_)"
)
ENDS = ("_acc", "_rating", "_score", "_mmlb_eval")
# MMProLong's short-context average is the mean of these six, each named as in `SuiteScore.dataset`.
SHORT_CONTEXT = (
    re.compile(r"MMBench_(DEV|TEST)_EN_V11(/.*)?"),
    re.compile(r"RealWorldQA(/.*)?"),
    re.compile(r"MMMU_DEV_VAL/validation"),
    re.compile(r"MMMU_Pro_10c(/.*)?"),
    re.compile(r"MathVista_MINI"),
    re.compile(r"OCRBench"),
)
ANSWER_COLUMNS = (
    *("index", "question_id", "mmlb_subset", "task", "source_dataset", "question", "answer", "extra_info"),
    "prediction",
)


@dataclass(frozen=True)
class SuiteScore:
    """
    A score of a suite.

    Args:
        dataset (`str`): The suite as in the file's name, with the split or source behind "/", e.g. `"MMMU_DEV_VAL/validation"`.
        metric (`str`): What was measured.
        score (`float`): 0 to 100.
        num (`int`, *optional*): Questions, where the file tells.
        source (`str`): The file's name.
    """

    dataset: str
    metric: str
    score: float
    num: int | None
    source: str

    def to_row(self) -> dict:
        """What a report holds."""
        return asdict(self)


def read_results(path: str | Path) -> list[SuiteScore]:
    """
    The scores in a file of VLMEvalKit, or in all such files of a folder (not of the folders in it).

    Args:
        path (`str` or `Path`): A file such as `MODEL_Video-MME_1fps_rating.json`, or VLMEvalKit's `outputs/MODEL`.

    Returns:
        `list[SuiteScore]`: Of each file its main scores; of one with a row for each question, their mean, where a failure counts as 0.

    Raises:
        ValueError: when a file's name has no known suite, or its layout is none of those described; when a folder has no such file.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "my-model_RealWorldQA_acc.csv")
    >>> _ = path.write_text('"split","Overall"\\n"none","0.685"\\n')
    >>> read_results(path)
    [SuiteScore(dataset='RealWorldQA', metric='accuracy', score=68.5, num=None, source='my-model_RealWorldQA_acc.csv')]

    ```
    """
    path = Path(path)
    if not path.is_dir():
        return _read_file(path)
    files = [
        file
        for file in sorted(path.iterdir())
        if SUITE.search(file.stem) and file.stem.endswith(ENDS) and file.suffix in (".csv", ".tsv", ".json")
    ]
    if not files:
        raise ValueError(
            f"{path} has no score file of a known suite, expected VLMEvalKit's outputs/MODEL with MODEL_Video-MME_1fps_rating.json, "
            "say; run it with PRED_FORMAT=tsv EVAL_FORMAT=csv"
        )
    return [score for file in files for score in _read_file(file)]


def _read_file(path: Path) -> list[SuiteScore]:
    if (match := SUITE.search(path.stem)) is None:
        raise ValueError(f"{path.name} names no known suite, expected MODEL_SUITE_... as VLMEvalKit calls its files")
    if path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        found = _from_table(content, path) if isinstance(content, list) else _from_object(content, path)
    elif path.suffix in (".csv", ".tsv"):
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
        found = _from_table(rows, path)
    else:
        raise ValueError(f"{path.name} is no .json, .csv or .tsv: run VLMEvalKit with PRED_FORMAT=tsv EVAL_FORMAT=csv")
    return [SuiteScore(match[1] + part, metric, score, num, path.name) for part, metric, score, num in found]


def _from_object(content: Mapping, path: Path) -> list[tuple[str, str, float, int | None]]:
    overall = content.get("overall")
    if isinstance(overall, Mapping) and "overall" in overall:
        # Video-MME and LongVideoBench: questions without an answer or a verdict have left this mean
        return [("", "accuracy of the answered", 100 * float(overall["overall"]), None)]
    if "Final Score Norm" in content:
        # OCRBench: right ones of 1,000, divided by 10
        return [("", "accuracy", float(content["Final Score Norm"]), None)]
    raise ValueError(
        f"{path.name} has the keys {sorted(content)}, expected `overall` with `overall` in it, or `Final Score Norm`"
    )


def _from_table(rows: Sequence[Mapping], path: Path) -> list[tuple[str, str, float, int | None]]:
    columns = set(rows[0]) if rows else set()
    if {"index", "source_dataset", "metric", "score"} <= columns:
        return _of_sources(rows)
    if {"index", "score"} <= columns:
        return [("", "accuracy", *_mean(rows))]
    if {"split", "Overall"} <= columns:  # multiple choice
        splits = [("" if row["split"] == "none" else f"/{row['split']}", row["Overall"]) for row in rows]
        return [(split, "accuracy", 100 * float(overall), None) for split, overall in splits]
    if {"Task&Skill", "tot", "acc"} <= columns:  # MathVista
        return [("", "accuracy", float(row["acc"]), int(row["tot"])) for row in rows if row["Task&Skill"] == "Overall"]
    if {"task", "overall", "acc"} <= columns:  # MLVU: the multiple-choice questions without those on order
        return [
            ("/M-Avg", "accuracy", float(r["acc"]), int(float(r["overall"]))) for r in rows if r["task"] == "M-Avg"
        ]
    if {"task", "num", "score"} <= columns:  # MMLongBench, a mean over the questions of all datasets of a task
        return [(f"/{row['task']}", "mean of questions", 100 * float(row["score"]), int(row["num"])) for row in rows]
    if {"category", "num", "avg_score"} <= columns:  # MMLongBench-Doc
        wanted = {"overall_acc": "accuracy", "overall_f1": "F1"}
        return [
            ("", wanted[row["category"]], 100 * float(row["avg_score"]), int(row["num"]))
            for row in rows
            if row["category"] in wanted
        ]
    raise ValueError(
        f"{path.name} has the columns {sorted(columns)}, which is no layout of VLMEvalKit that is known here"
    )


def _mean(rows: Sequence[Mapping]) -> tuple[float, int]:
    """VLMEvalKit writes -1, or nothing, for a question that failed."""
    scores = [float(row["score"] or 0) for row in rows]
    return 100 * sum(score for score in scores if score > 0) / len(scores), len(scores)


def _of_sources(rows: Sequence[Mapping]) -> list[tuple[str, str, float, int]]:
    """MMLongBench question by question: each of its datasets on its own, as in MMLongBench's own tables."""
    parts = defaultdict(list)
    for row in rows:
        parts[row["source_dataset"], row["metric"]].append(row)
    return [(f"/{source}", metric, *_mean(part)) for (source, metric), part in parts.items()]


def short_context_average(scores: Iterable[SuiteScore]) -> float | None:
    """
    MMProLong's short-context average: the mean of six suites, MMMU by its validation split.

    Args:
        scores (`Iterable[SuiteScore]`): From [`read_results`]; others are ignored.

    Returns:
        `float`: 0 to 100; `None` where a suite is missing.

    Raises:
        ValueError: when a suite has two scores.
    """
    scores = list(scores)
    found = [[score for score in scores if suite.fullmatch(score.dataset)] for suite in SHORT_CONTEXT]
    if twice := next((several for several in found if len(several) > 1), None):
        names = ", ".join(f"{score.dataset} of {score.source}" for score in twice)
        raise ValueError(f"one suite has {len(twice)} scores ({names}), expected one: leave the others out")
    return sum(score.score for (score,) in found) / len(found) if all(found) else None


def write_answers(answers: Iterable[Mapping], path: str | Path) -> int:
    """
    Write the answers to MMLongBench's document questions with the columns that VLMEvalKit's `MMLongBench` scores: it then judges them
    with its own prompts, as `MODEL_MMLongBench_128K.tsv` in its output folder.

    Args:
        answers (`Iterable[Mapping]`): Records of `answers.jsonl`; other datasets are left out. A failure is an empty answer.
        path (`str` or `Path`): The TSV file.

    Returns:
        `int`: How many were written.

    Raises:
        ValueError: when there is none, or they are of several lengths.
    """
    answers = [answer for answer in answers if answer["dataset"] in RULES]
    lengths = sorted({answer["context_length"] for answer in answers})
    if len(lengths) != 1:
        raise ValueError(f"the answers have the lengths {lengths}, expected one, since VLMEvalKit has a file for each")
    table = StringIO()
    writer = csv.DictWriter(table, ANSWER_COLUMNS, dialect="excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(_answer_row(index, answer) for index, answer in enumerate(answers))
    # A model may write half a surrogate pair, which UTF-8 cannot hold.
    write_whole(path, table.getvalue().encode("utf-8", "replace").decode("utf-8"))
    return len(answers)


def _answer_row(index: int, answer: Mapping) -> dict:
    extra = {"question": answer["asked"], "answer": answer["answer"], "answer_format": answer["answer_format"]}
    return {
        "index": index,
        "question_id": answer["id"].rpartition("/")[2],
        "mmlb_subset": f"documentQA_{answer['context_length'] // 1024}",
        "task": "documentQA",
        "source_dataset": answer["dataset"],
        "question": answer["asked"],
        "answer": answer["answer"],
        "extra_info": json.dumps(extra | {"doc_name": answer["doc_name"]}),
        "prediction": answer["answer_start"] + answer["prediction"],
    }
