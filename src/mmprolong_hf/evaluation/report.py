"""The report of a run: everything that is said of it, worked out from its answers and scores alone."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mmprolong_hf.evaluation.answers import write_json, write_whole
from mmprolong_hf.evaluation.figures import draw_accuracy
from mmprolong_hf.evaluation.guards import STRATEGIES, measure_wordiness, score_strategies
from mmprolong_hf.evaluation.known_results import Method, differences, load_known_results
from mmprolong_hf.evaluation.model_index import model_index_yaml
from mmprolong_hf.evaluation.report_tables import agreement_rows, average_rows, by_cell, by_method, cell_row, reasons
from mmprolong_hf.evaluation.report_text import report_text
from mmprolong_hf.evaluation.scoring_run import JUDGE_METRIC, NOT_JUDGED, ScoreRecord
from mmprolong_hf.evaluation.vlmevalkit import SuiteScore, short_context_average

REPORT, TEXT, FIGURE, MODEL_INDEX = "report.json", "report.md", "accuracy.png", "model_index.yaml"


def build_report(
    run: Mapping,
    answers: Mapping[str, Mapping],
    scores: Sequence[ScoreRecord],
    comparison: Sequence[Mapping] = (),
    suites: Sequence[SuiteScore] = (),
) -> dict:
    """
    All numbers of a report. The same answers give the same report, whenever and in whatever order they came.

    Args:
        run (`Mapping`): What the run was of: `model`, `processor` (of a server's model), `engine`, `versions`,
            `options` (the plan), `keys` (a question's id -> its key), `skipped` (what could not be asked, with
            `dataset`, `context_length` and `reason`) and `notes`.
        answers (`Mapping[str, Mapping]`): A question's id -> its record of `answers.jsonl`.
        scores (`Sequence[ScoreRecord]`): Of all methods.
        comparison (`Sequence[Mapping]`, *optional*): From [`~mmprolong_hf.evaluation.report_comparison.compare_runs`].
        suites (`Sequence[SuiteScore]`, *optional*): Of the same model, from [`~mmprolong_hf.evaluation.vlmevalkit.read_results`].

    Raises:
        ValueError: when there is no answer.
    """
    if not answers:
        raise ValueError("the run has no answer yet, expected at least one: run it without --report_only first")
    skipped = Counter((row["dataset"], row["context_length"]) for row in run["skipped"])
    methods = by_method(scores)
    rules = [record for method, records in methods.items() if method.judge is None for record in records]
    judged = [record for method, records in methods.items() if method.metric == JUDGE_METRIC for record in records]
    ordered = [answers[id] for id in sorted(answers)]
    return {
        "model": run["model"],
        "processor": run["processor"],
        "engine": run["engine"],
        "versions": run["versions"],
        "num_questions": len(run["keys"]),
        "num_answered": len(answers),
        "num_failed": sum(answer["error"] is not None for answer in ordered),
        "num_skipped": len(run["skipped"]),
        "num_unjudged": 0 if run["options"]["judge"] is None else _num_unjudged(ordered, judged),
        "skips": _skip_rows(run["skipped"]),
        "notes": [*run["notes"], *_server_notes(run, ordered)],
        "methods": [_method_part(method, records, skipped) for method, records in methods.items()],
        "lengths": _length_rows(ordered),
        "guards": _guards_part(ordered, rules),
        "agreement": agreement_rows(rules, judged),
        "comparison": list(comparison),
        "suites": [score.to_row() for score in suites],
        "short_context": short_context_average(suites),
    }


def write_report(report: Mapping, folder: str | Path) -> None:
    """
    Write `report.json`, `report.md`, `accuracy.png` and `model_index.yaml`. The last is for publishing: while answers
    or verdicts are missing it is not written, and one from before is removed.

    Args:
        report (`Mapping`): From [`build_report`].
        folder (`str` or `Path`): Where.
    """
    folder = Path(folder)
    draw_accuracy(report, folder / FIGURE)
    write_json(folder / REPORT, report)
    write_whole(folder / TEXT, report_text(report, FIGURE))
    if report["num_answered"] < report["num_questions"] or report["num_unjudged"]:
        (folder / MODEL_INDEX).unlink(missing_ok=True)
    else:
        write_whole(folder / MODEL_INDEX, model_index_yaml(report))


def _method_part(method: Method, records: Sequence[ScoreRecord], skipped: Mapping) -> dict:
    cells = by_cell(records)
    rows = [cell_row(cell, of_cell, skipped[cell]) for cell, of_cell in cells.items()]
    averages = average_rows(cells)
    scores = defaultdict(dict)
    for row in rows:
        scores[row["context_length"]][row["dataset"]] = row["score"]
    for row in averages:
        if row["name"] == "AVG":
            scores[row["context_length"]]["AVG"] = row["score"]
    known = _known_part(scores, method)
    failures = reasons(record.error for record in records)
    part = {"method": asdict(method), "name": str(method), "cells": rows, "averages": averages}
    return part | {"failures": failures, "known": known}


def _num_unjudged(answers: Sequence[Mapping], judged: Sequence[ScoreRecord]) -> int:
    """Answers that the judge has yet to see. One that it failed on is none: that is counted as a failure."""
    seen = {record.id for record in judged if record.error != NOT_JUDGED}
    return sum(answer["error"] is None and answer["id"] not in seen for answer in answers)


def _server_notes(run: Mapping, answers: Sequence[Mapping]) -> list[str]:
    """What cannot be known of a model that a server holds."""
    if run["processor"] is None:
        return []
    notes = ["The answers are a server's: its model is known by name and address, its weights were not seen."]
    answered = [answer for answer in answers if answer["error"] is None]
    if uncounted := sum(answer["prompt_tokens"] is None for answer in answered):
        notes.append(
            f"For {uncounted} of {len(answered)} answers the server told no prompt tokens: whether it read every page in full is "
            "not known."
        )
    elif not run["options"]["server"]["check_prompts"]:
        notes.append("The server's prompt tokens were not compared with the pages' (check_prompts is off).")
    return notes


def _skip_rows(skipped: Sequence[Mapping]) -> list[dict]:
    """What could not be asked, counted by dataset, length and reason."""
    found = Counter((row["dataset"], row["context_length"], row["reason"]) for row in skipped)
    rows = sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or 0, item[0][2]))
    return [
        {"dataset": dataset, "context_length": length, "reason": reason, "num": num}
        for (dataset, length, reason), num in rows
    ]


def _known_part(scores: Mapping, method: Method) -> list[dict]:
    """Published tables: the differences to those of the same method, and why the others are none."""
    part, ours = [], {dataset for of_length in scores.values() for dataset in of_length}
    for table in load_known_results():
        if not any(ours & known.keys() for of_lengths in table.results.values() for known in of_lengths.values()):
            continue
        entry = {"table": table.name, "source": table.source, "rows": [], "refused": None}
        try:
            entry["rows"] = differences(scores, method, table)
        except ValueError as refusal:
            entry["refused"] = str(refusal)
        part.append(entry)
    return part


def _length_rows(answers: Sequence[Mapping]) -> list[dict]:
    """How long prompts were, in tokens and in positions: pages take many of the former and few of the latter."""
    cells = defaultdict(list)
    for answer in answers:
        cells[answer["dataset"], answer["context_length"]].append(answer)
    rows = []
    for (dataset, length), of_cell in sorted(cells.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        tokens = [answer["prompt_tokens"] for answer in of_cell if answer["prompt_tokens"] is not None]
        positions = [answer["largest_position"] for answer in of_cell if answer["largest_position"] is not None]
        pages = [answer["num_pages"] for answer in of_cell]
        row = {"dataset": dataset, "context_length": length, "mean_pages": sum(pages) / len(pages)}
        row["mean_prompt_tokens"] = sum(tokens) / len(tokens) if tokens else None
        rows.append(
            row | {"max_prompt_tokens": max(tokens, default=None), "largest_position": max(positions, default=None)}
        )
    return rows


def _guards_part(answers: Sequence[Mapping], rules: Sequence[ScoreRecord]) -> dict:
    strategies = {name: by_cell(records) for name, records in score_strategies(answers).items()}
    rows = []
    for cell, records in by_cell(rules).items():
        row = {"dataset": cell[0], "context_length": cell[1], "model": _mean(records)}
        rows.append(row | {name: _mean(strategies[name][cell]) for name in STRATEGIES})
    wordiness = measure_wordiness(answers)
    return {"rows": rows, "wordiness": asdict(wordiness), "suspicious": wordiness.suspicious}


def _mean(records: Sequence[ScoreRecord]) -> float:
    return 100 * sum(record.score for record in records) / len(records)
