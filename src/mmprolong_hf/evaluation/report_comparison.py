"""Two runs on the same questions: their difference, and whether chance explains it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from mmprolong_hf.evaluation.known_results import Method, check_same_method
from mmprolong_hf.evaluation.metrics.statistics import compare_paired
from mmprolong_hf.evaluation.report_tables import by_cell, by_method
from mmprolong_hf.evaluation.scoring_run import ScoreRecord

LEAST = 2  # questions in common, below which nothing can be said of chance


def compare_runs(first: Sequence[ScoreRecord], second: Sequence[ScoreRecord], name: str) -> list[dict]:
    """
    Differences of a run to another one, question by question, for each method that both were scored by. A method of
    one run alone is refused, and the nearest of the other says why.

    Args:
        first, second (`Sequence[ScoreRecord]`): The scores of the runs.
        name (`str`): What errors call the second.

    Returns:
        `list[dict]`: For each method `method`, `num_only_first`, `num_only_second` (questions that the other run does
        not have in the same words with the same pages), `num_other_gold` (those that both have, but scored against
        two right answers: they are not compared), and `rows`: for each dataset and length, and for `"all"` of
        them, `num`, `difference`, `low`, `high` and `detectable` in points of 100, and `p_value`. The bounds and
        `detectable` are `None` where all questions differ by as much. A method without a partner has `method`, `name`
        and `refused`, the reason.

    Raises:
        ValueError: when no method is the same, with what differs; or when the runs share no questions.
    """
    ours, theirs = by_method(first), by_method(second)
    shared = [method for method in ours if method in theirs]
    if not shared:
        check_same_method(*_nearest(ours, theirs), name)
    parts = [_compare_method(method, ours[method], theirs[method], name) for method in shared]
    alone = {_refusal(_nearest([method], theirs), name): method for method in ours if method not in theirs}
    for method in theirs:
        if method not in ours:
            alone.setdefault(_refusal(_nearest(ours, [method]), name), method)
    refused = [{"method": asdict(method), "name": str(method), "refused": why} for why, method in alone.items()]
    return parts + refused


def _refusal(methods: tuple[Method, Method], name: str) -> str:
    try:
        check_same_method(*methods, name)
    except ValueError as refusal:
        return str(refusal)


def _nearest(ours: Collection[Method], theirs: Collection[Method]) -> tuple[Method, Method]:
    """The two methods that differ in the fewest ways, so that an error names what is in the way."""
    if not ours or not theirs:
        raise ValueError("a run has no scores, expected answers in both: finish the runs first")
    pairs = [(a, b) for a in ours for b in theirs]
    return min(pairs, key=lambda pair: len(asdict(pair[0]).items() ^ asdict(pair[1]).items()))


def _compare_method(method: Method, first: list[ScoreRecord], second: list[ScoreRecord], name: str) -> dict:
    # A question's key is of its words and pages, so that another context is another question.
    theirs = {(record.id, record.key): record for record in second}
    mine = {(record.id, record.key): record for record in first}
    common = [record for at, record in mine.items() if at in theirs]
    shared = [record for record in common if record.gold == theirs[record.id, record.key].gold]
    num_other_gold = len(common) - len(shared)
    cells = {cell: records for cell, records in by_cell(shared).items() if len(records) >= LEAST}
    if not cells:
        raise ValueError(
            f"the run and {name} have {len(shared)} questions in common, expected at least {LEAST} of a dataset and "
            f"length ({num_other_gold} more have another right answer there): compare runs of the same plan, each "
            "with a report of the same data"
        )
    rows = [_row(*cell, {cell: records}, theirs) for cell, records in cells.items()]
    rows.append(_row("all", None, cells, theirs))
    only = {"num_only_first": len(mine.keys() - theirs.keys()), "num_only_second": len(theirs.keys() - mine.keys())}
    return {
        "method": asdict(method),
        "name": str(method),
        "refused": None,
        **only,
        "num_other_gold": num_other_gold,
        "rows": rows,
    }


def _row(dataset: str, length: int | None, cells: Mapping, theirs: Mapping) -> dict:
    pairs = [
        {f"{name} {at}": {r.id: pick(r).score for r in records} for (name, at), records in cells.items()}
        for pick in (lambda record: record, lambda record: theirs[record.id, record.key])
    ]
    found = compare_paired(*pairs)
    where = {"dataset": dataset, "context_length": length, "num": sum(map(len, cells.values()))}
    points = {key: 100 * value for key, value in asdict(found).items() if key != "p_value"}
    # where all questions differ by as much, as where none does, nothing is known of how answers differ
    if found.low == found.high:
        points |= {"low": None, "high": None, "detectable": None}
    return where | points | {"p_value": found.p_value}
