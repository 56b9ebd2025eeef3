"""From the answers of a run to scores: by the rule of each dataset, and by a judge's verdicts."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from mmprolong_hf.evaluation.known_results import Method
from mmprolong_hf.evaluation.metrics import mmlongbench
from mmprolong_hf.evaluation.metrics.mmlongbench_text import parse_output
from mmprolong_hf.evaluation.metrics.score import Score
from mmprolong_hf.evaluation.scoring import exact_match


@dataclass(frozen=True)
class Rule:
    """
    A metric that needs no model.

    Args:
        metric, version (`str`): What reports call it.
        score (`Callable`): Of the right answer, the prediction and the answer's format.
    """

    metric: str
    version: str
    score: Callable[[str, str, str], Score]


def _exact(gold: str, prediction: str, answer_format: str) -> Score:
    return Score(float(exact_match(prediction, gold, answer_format)))


DOC_QA = Rule("doc_qa", "v1.0", mmlongbench.score)
EXACT = Rule("exact_match", "v1", _exact)
# What each dataset is scored by; a set of questions made by `mmprolong build` has its own name, and is scored exactly.
RULES = {"mmlongdoc": DOC_QA, "longdocurl": DOC_QA, "slidevqa": DOC_QA}
JUDGE_METRIC, JUDGE_VERSION = "doc_qa_llm", "v1.1"
NOT_JUDGED = "the judge was not asked"


@dataclass(frozen=True)
class ScoreRecord:
    """
    The score of one answer by one method.

    Args:
        id (`str`): The question's.
        key (`str`): Of its words and pages.
        gold (`str`): [`gold_hash`] of the right answer that it was scored against.
        dataset (`str`), context_length (`int`, *optional*): Where it belongs; lengths in tokens.
        method (`Method`): How it was scored.
        score (`float`): 0 to 1; what failed has 0.
        error (`str`, *optional*): Why there is no answer, or no proper score of it.
        empty (`bool`): Nothing was answered: such questions are what upstream leaves out of its mean.
    """

    id: str
    key: str
    gold: str
    dataset: str
    context_length: int | None
    method: Method
    score: float
    error: str | None = None
    empty: bool = False

    def to_row(self) -> dict:
        """What a line of `scores.jsonl` holds."""
        return asdict(self)


def read_score(row: Mapping) -> ScoreRecord:
    """A [`ScoreRecord`] from a line of `scores.jsonl`."""
    return ScoreRecord(**{**row, "method": Method(**row["method"])})


def gold_hash(answer: Mapping) -> str:
    """
    Of a right answer and its format: a score of an answer against another right answer is another quantity.

    Args:
        answer (`Mapping`): A record of `answers.jsonl`.

    Example:

    ```python
    >>> gold_hash({"answer": "5", "answer_format": "Integer"})
    'e4512c9eb4755de3'

    ```
    """
    gold = json.dumps([answer["answer"], answer["answer_format"]])
    return hashlib.sha256(gold.encode("ascii")).hexdigest()[:16]


def parsed_answer(answer: Mapping) -> str:
    """
    What is scored of an answer: what stands behind "Answer:", else all of it.

    Args:
        answer (`Mapping`): A record of `answers.jsonl`.

    Example:

    ```python
    >>> parsed_answer({"answer_start": "Answer:", "prediction": " 5 pages"})
    '5 pages'

    ```
    """
    return parse_output(answer["answer_start"] + answer["prediction"])


def score_by_rule(answers: Iterable[Mapping]) -> list[ScoreRecord]:
    """
    The score of each answer by the rule of its dataset. A failure is a 0 and keeps its reason.

    Args:
        answers (`Iterable[Mapping]`): Records of `answers.jsonl`.

    Example:

    ```python
    >>> answer = {"id": "1", "key": "k", "dataset": "slidevqa", "context_length": 65536, "prompt_version": "v1.1"}
    >>> answer |= {"answer": "5", "answer_format": "Integer", "answer_start": "Answer:", "prediction": " 5."}
    >>> (record,) = score_by_rule([answer | {"error": None}])
    >>> record.score, str(record.method)
    (1.0, 'doc_qa v1.0, prompt v1.1, no judge')

    ```
    """
    records = []
    for answer in answers:
        rule, parsed = RULES.get(answer["dataset"], EXACT), parsed_answer(answer)
        found = rule.score(answer["answer"], parsed, answer["answer_format"])
        if answer["error"] is not None:
            found = Score(0.0, answer["error"])
        records.append(_record(answer, Method(rule.metric, rule.version, answer["prompt_version"]), found, parsed))
    return records


def judged_gold(answer: Mapping) -> str:
    """
    The right answer as a judge is told it: a list is JSON, also where a set of `mmprolong build` has "; " between the
    parts.

    Args:
        answer (`Mapping`): A record of `answers.jsonl`.

    Example:

    ```python
    >>> judged_gold({"dataset": "mine", "answer": "April; May", "answer_format": "List"})
    '["April", "May"]'

    ```
    """
    if answer["answer_format"] != "List" or answer["dataset"] in RULES:
        return answer["answer"]
    return json.dumps([part.strip() for part in answer["answer"].split(";")], ensure_ascii=False)


def score_by_judge(answers: Iterable[Mapping], verdicts: Mapping[str, Mapping], judge: str) -> list[ScoreRecord]:
    """
    The score of each answer by a judge's verdict. A judge that gave none, or nonsense, leaves a counted failure.

    Args:
        answers (`Iterable[Mapping]`): Records of `answers.jsonl`.
        verdicts (`Mapping[str, Mapping]`): A question's id -> `score`, `error` (`None` where none), and what it is of:
            `prediction` and `gold`, the [`gold_hash`].
        judge (`str`): Names its model and prompt.

    Example:

    ```python
    >>> answer = {"id": "1", "key": "k", "dataset": "slidevqa", "context_length": 65536, "prompt_version": "v1.1"}
    >>> answer |= {"answer": "5", "answer_format": "Integer", "answer_start": "", "prediction": "five", "error": None}
    >>> verdict = {"score": 1.0, "error": None, "prediction": "five", "gold": gold_hash(answer)}
    >>> score_by_judge([answer], {"1": verdict}, "J")[0].score
    1.0

    ```
    """
    records = []
    for answer in answers:
        parsed, verdict = parsed_answer(answer), verdicts.get(answer["id"])
        if answer["error"] is not None:
            found = Score(0.0, answer["error"])
        elif verdict is None or (verdict["prediction"], verdict["gold"]) != (parsed, gold_hash(answer)):
            found = Score(0.0, NOT_JUDGED)
        else:
            found = Score(verdict["score"], verdict["error"])
        method = Method(JUDGE_METRIC, JUDGE_VERSION, answer["prompt_version"], judge)
        records.append(_record(answer, method, found, parsed))
    return records


def _record(answer: Mapping, method: Method, found: Score, parsed: str) -> ScoreRecord:
    where = (answer["id"], answer["key"], gold_hash(answer), answer["dataset"], answer["context_length"])
    return ScoreRecord(*where, method, found.value, found.error, empty=not parsed)
