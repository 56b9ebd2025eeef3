"""A plan from beginning to end: ask, judge, score, report. Each step leaves a file, and the next reads it."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from mmprolong_hf.evaluation.answers import AnswerFile, current_answers, read_lines, write_json, write_lines
from mmprolong_hf.evaluation.disk import told_if_unwritable
from mmprolong_hf.evaluation.judge import Case, Judge, load_judge_prompts
from mmprolong_hf.evaluation.options import EvaluationOptions, JudgeOptions
from mmprolong_hf.evaluation.plan_engine import make_engine
from mmprolong_hf.evaluation.plan_questions import PlanQuestions, plan_questions
from mmprolong_hf.evaluation.report import build_report, write_report
from mmprolong_hf.evaluation.report_comparison import compare_runs
from mmprolong_hf.evaluation.requests import Engine
from mmprolong_hf.evaluation.run import ANSWERS, RunSummary, question_keys, run_contexts
from mmprolong_hf.evaluation.scoring_run import (
    ScoreRecord,
    gold_hash,
    judged_gold,
    parsed_answer,
    read_score,
    score_by_judge,
    score_by_rule,
)
from mmprolong_hf.evaluation.vlmevalkit import read_results
from mmprolong_hf.synthesis.endpoint import Budget, BudgetSpent, EndpointRefused, ReplyCache

RUN_FIELDS = {"model", "processor", "engine", "versions", "options", "keys", "columns", "skipped", "notes"}
RUN, VERDICTS, SCORES, REPLIES = "run.json", "verdicts.jsonl", "scores.jsonl", "replies.sqlite"


def evaluate(options: EvaluationOptions) -> RunSummary:
    """
    Ask everything that a plan asks, and have it judged. A run that was stopped goes on when this is called again.

    Args:
        options (`EvaluationOptions`): The plan.

    Raises:
        ValueError: when something that the plan names is not there or does not fit, or the output folder holds another
            run or cannot be written. A server that refuses or costs too much is one too; what is done is kept.
    """
    folder = Path(options.output)
    questions = plan_questions(options)
    engine = make_engine(options)
    keys = question_keys(questions.contexts)
    try:
        with told_if_unwritable(folder):
            write_run(folder, options, engine, questions, keys)
            columns, retry = questions.columns, options.retry_failed
            summary = run_contexts(questions.contexts, engine, folder, columns, keys=keys, retry_failed=retry)
            if options.judge is not None:
                judge_answers(folder, options.judge)
    except (EndpointRefused, BudgetSpent) as error:
        raise ValueError(f"{error}. What is done is kept; the same command goes on") from error
    return summary


def write_run(
    folder: Path, options: EvaluationOptions, engine: Engine, questions: PlanQuestions, keys: Mapping[str, str]
) -> None:
    """
    Write `run.json`: what the run is of, so that it can be scored and reported without the model.

    Raises:
        ValueError: when the folder holds a run of another engine, or another run writes to it.
    """
    path = folder / RUN
    # A server has a model of its own; the plan's is only the one whose processor counts tokens.
    model, processor = options.model, None
    if options.server is not None:
        model, processor = options.server.endpoint.model, options.model
    run = {"model": model, "processor": processor, "engine": engine.name}
    run |= {"options": asdict(options), "keys": dict(keys)}
    run |= {"columns": questions.columns, "skipped": questions.skipped, "notes": questions.notes}
    run |= {"versions": {"python": platform.python_version(), "mmprolong_hf": version("mmprolong_hf")}}
    with AnswerFile(folder / ANSWERS):  # a run that another one is answering stays as it is
        if path.exists() and (before := _read_run_file(path)["engine"]) != engine.name:
            raise ValueError(
                f"{folder} holds a run of {before!r}, but the plan's engine is {engine.name!r}: name another output"
            )
        write_json(path, run)


def read_run(folder: str | Path) -> tuple[dict, dict[str, dict]]:
    """
    What a run is of, and its answers by their questions' ids, in the order of these. What a record says beside the
    answer is the plan's: after a right answer was corrected, the answers that were kept are scored by it.

    Raises:
        ValueError: when the folder holds no run, or a file of it is not as it was written.
    """
    path = Path(folder, RUN)
    if not path.is_file():
        raise ValueError(f"{path} is not there, expected the folder of a run: `mmprolong evaluate PLAN` writes it")
    run = _read_run_file(path)
    answers = current_answers(read_lines(Path(folder, ANSWERS)), run["keys"])
    return run, {id: {**answers[id], **run["columns"].get(id, {})} for id in sorted(answers)}


def _read_run_file(path: Path) -> dict:
    remedy = "remove it, and `mmprolong evaluate PLAN` writes it again and keeps the answers"
    try:
        run = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is empty, torn or no JSON ({error}): {remedy}") from error
    if not isinstance(run, dict) or (missing := RUN_FIELDS - run.keys()):
        what = f"has no {', '.join(sorted(missing))}" if isinstance(run, dict) else "is no object"
        raise ValueError(f"{path} {what}, expected what a run of this version writes: {remedy}")
    return run


def judge_answers(folder: str | Path, options: JudgeOptions) -> None:
    """
    Have a judge grade the answers of a run that did not fail, and write `verdicts.jsonl`. Replies are kept in
    `replies.sqlite`: only what is new is sent.

    Args:
        folder (`str` or `Path`): Of the run.
        options (`JudgeOptions`): Who judges.

    Raises:
        ValueError: when another run answers or judges in the folder.
    """
    with AnswerFile(Path(folder, ANSWERS)):  # two judges would pay twice, and the slower one's verdicts would stay
        _, answers = read_run(folder)
        cases = [
            Case(id, answer["asked"], judged_gold(answer), parsed_answer(answer), answer["answer_format"])
            for id, answer in answers.items()
            if answer["error"] is None
        ]
        path, prompts = Path(folder, REPLIES), load_judge_prompts(options.prompts)
        # What was spent is counted in the file of the replies, so that the limit holds over all calls of a run.
        with closing(ReplyCache(path)) as replies, closing(Budget(options.max_usd, path)) as budget:
            judge = Judge(options.endpoint, replies, prompts, temperature=options.temperature, budget=budget)
            verdicts = {verdict.id: asdict(verdict) for verdict in judge.verdicts(cases)}
        of = {case.id: {"prediction": case.prediction, "gold": gold_hash(answers[case.id])} for case in cases}
        write_lines(Path(folder, VERDICTS), (verdicts[id] | {"name": judge.name} | about for id, about in of.items()))


def score_run(folder: str | Path) -> list[ScoreRecord]:
    """
    Score the answers of a run by rule, and by the verdicts where there are some; write `scores.jsonl`.

    Args:
        folder (`str` or `Path`): Of the run.
    """
    _, answers = read_run(folder)
    scores = score_by_rule(answers.values())
    if verdicts := read_lines(Path(folder, VERDICTS), ("id", "name")):
        scores += score_by_judge(
            answers.values(), {verdict["id"]: verdict for verdict in verdicts}, verdicts[0]["name"]
        )
    write_lines(Path(folder, SCORES), (record.to_row() for record in scores))
    return scores


def report_run(folder: str | Path, others: Sequence[str | Path] = (), suites: Sequence[str | Path] = ()) -> dict:
    """
    Score a run, compare it with others, and write its report.

    Args:
        folder (`str` or `Path`): Of the run.
        others (`Sequence[str | Path]`): Folders of runs to compare it with.
        suites (`Sequence[str | Path]`): VLMEvalKit's results of the same model, files or folders, to stand in the same report.

    Returns:
        `dict`: The report, as [`~mmprolong_hf.evaluation.report.build_report`].

    Raises:
        ValueError: when a folder holds no run, two runs cannot be compared, a result of VLMEvalKit cannot be read, or the
            folder cannot be written.
    """
    with told_if_unwritable(folder):
        scores = score_run(folder)
    run, answers = read_run(folder)
    comparison = [
        {**part, "other": str(other)}
        for other in others
        for part in compare_runs(scores, _scores_of(other), str(other))
    ]
    of_suites = [score for path in suites for score in read_results(path)]
    report = build_report(run, answers, scores, comparison, of_suites)
    with told_if_unwritable(folder):
        write_report(report, folder)
    return report


def _scores_of(folder: str | Path) -> list[ScoreRecord]:
    path = Path(folder, SCORES)
    if not path.is_file():
        raise ValueError(f"{path} is not there, expected the folder of a run with its report")
    try:
        return [read_score(row) for row in read_lines(path)]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} has other fields than this version writes ({error}): make the report of that run again"
        ) from error
