"""Records of a run as `answers.jsonl` holds them, made in code."""

import random
from pathlib import Path

from mmprolong_hf.evaluation.report import build_report
from mmprolong_hf.evaluation.scoring_run import gold_hash, parsed_answer, score_by_judge, score_by_rule

REPORT_FILES = ("report.json", "report.md", "accuracy.png", "model_index.yaml")
SKIPPED = {
    "id": "mmlongdoc/64K/x",
    "dataset": "mmlongdoc",
    "context_length": 65536,
    "reason": "too long",
    "detail": "...",
}
GOLDS = {
    "Integer": "42",
    "String": "blue whale",
    "List": '["red", "green"]',
    "None": "Not answerable",
    "Float": "0.25",
}


def answer(id: str, dataset: str = "mmlongdoc", length: int | None = 65536, **changes) -> dict:
    """A record; what it does not say is right and without failures."""
    record = {
        "id": id,
        "key": f"key of {id}",
        "dataset": dataset,
        "context_length": length,
        "prompt_version": "v1.0",
        "question": "How many?",
        "asked": "Based on Document 1, answer the following question. How many?",
        "answer": "42",
        "answer_format": "Integer",
        "answer_start": "Answer:",
        "prediction": " 42",
        "prompt_tokens": 60_000,
        "prefilled_tokens": 100,
        "largest_position": 2_500,
        "error": None,
        "engine": "scripted",
        "num_pages": 28,
    }
    return record | changes


def answers(right: float, num: int = 40, lengths=(65536, 131072), seed: int = 0, **changes) -> list[dict]:
    """A run on MMLongBench's three document sets, of which so many answers are right."""
    stream, records = random.Random(seed), []
    for dataset in ("mmlongdoc", "longdocurl", "slidevqa"):
        for length in lengths:
            for number in range(num):
                answer_format = list(GOLDS)[number % len(GOLDS)]
                gold = GOLDS[answer_format]
                said = gold if stream.random() < right else "7 apples"
                about = {"answer": gold, "answer_format": answer_format, "prediction": f" {said}"}
                records.append(answer(f"{dataset}/{length}/{number}", dataset, length, **about | changes))
    return records


def run_of(records: list[dict], skipped=()) -> dict:
    """What `run.json` says of records."""
    keys = {record["id"]: record["key"] for record in records}
    about = {"model": "org/long-7B", "engine": "scripted", "versions": {"python": "3.11"}, "notes": []}
    about |= {"processor": None, "options": {"judge": None}}
    return about | {"keys": keys, "skipped": list(skipped)}


def judged(records: list[dict]) -> list:
    """The scores of a judge that likes everything."""
    verdicts = {record["id"]: verdict(record) for record in records}
    return score_by_judge(records, verdicts, "J, prompt 1234")


def verdict(record: dict, score: float = 1.0, error: str | None = None) -> dict:
    """What a judge said of a record, as `verdicts.jsonl` holds it."""
    return {"score": score, "error": error, "prediction": parsed_answer(record), "gold": gold_hash(record)}


def report_of(records: list[dict], scores=None, skipped=()) -> dict:
    scores = score_by_rule(records) if scores is None else scores
    return build_report(run_of(records, skipped), {record["id"]: record for record in records}, scores)


def report_files(folder: Path) -> dict[str, bytes]:
    """What a run wrote of its scores."""
    return {name: (folder / name).read_bytes() for name in ("scores.jsonl", *REPORT_FILES)}
