"""
Accuracy, and the F1 that also asks whether a model knows what cannot be answered.

Source: mayubo2333/MMLongBench-Doc at d73f0dc, eval/eval_score.py; LongDocURL has the same rule.
"""

from collections.abc import Iterable, Mapping, Sequence

NOT_ANSWERABLE = "Not answerable"


def eval_acc_and_f1(
    samples: Sequence[Mapping], *, key: str = "score", upstream_compat: bool = False
) -> dict[str, float | None]:
    """
    Mean score, and the F1 over questions that have an answer.

    Recall is the sum of the scores of the answerable questions over their number; precision is the same sum over the number of
    questions that the model answered, that is, not with "Not answerable".

    Args:
        samples (`Sequence[Mapping]`): With `answer`, `pred` and a score from 0 to 1. A sample without a score is a failure and
            counts as 0.
        key (`str`): The column of the scores.
        upstream_compat (`bool`): Leave out samples without a score, and give 0 for what cannot be worked out.

    Returns:
        `dict` with `acc` and `f1`; `acc` is `None` without samples, and `f1` without answerable questions.

    Example:

    ```python
    >>> samples = [
    ...     {"answer": "a", "pred": "a", "score": 1.0},
    ...     {"answer": "b", "pred": "c", "score": 0.0},
    ...     {"answer": "Not answerable", "pred": "Not answerable", "score": 1.0},
    ... ]
    >>> eval_acc_and_f1(samples)
    {'acc': 0.6666666666666666, 'f1': 0.5}

    ```
    """
    if upstream_compat:
        samples = [sample for sample in samples if key in sample]
    unknown = 0.0 if upstream_compat else None
    if not samples:
        return {"acc": unknown, "f1": unknown}
    acc = sum(sample.get(key, 0.0) for sample in samples) / len(samples)
    answerable = [sample.get(key, 0.0) for sample in samples if sample["answer"] != NOT_ANSWERABLE]
    if not answerable:
        return {"acc": acc, "f1": unknown}
    num_answered = sum(sample["pred"] != NOT_ANSWERABLE for sample in samples)
    recall = sum(answerable) / len(answerable)
    precision = sum(answerable) / num_answered if num_answered else 0.0
    f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    return {"acc": acc, "f1": f1}


def acc_and_f1_by_group(samples: Sequence[Mapping], *, upstream_compat: bool = False) -> dict[str, dict]:
    """
    [`eval_acc_and_f1`] of MMLongBench-Doc's groups: by number of evidence pages, kind of evidence and kind of document.

    Args:
        samples (`Sequence[Mapping]`): As in [`eval_acc_and_f1`], and with `evidence_pages` and `evidence_sources` (lists) and
            `doc_type` (`str`).
        upstream_compat (`bool`): As in [`eval_acc_and_f1`].

    Returns:
        `dict` with `pages` ("single-page", "cross-page", "unanswerable"), `evidence_sources` and `doc_type`, each a `dict` from
        group to its `acc` and `f1`. A question with several sources counts in each; groups without questions are left out.

    Example:

    ```python
    >>> sample = {"answer": "a", "pred": "a", "score": 1.0, "evidence_pages": [3], "evidence_sources": ["Table"]}
    >>> acc_and_f1_by_group([sample | {"doc_type": "Brochure"}])["pages"]
    {'single-page': {'acc': 1.0, 'f1': 1.0}}

    ```
    """
    groups: dict[str, dict[str, list]] = {"pages": {}, "evidence_sources": {}, "doc_type": {}}
    for sample in samples:
        for group in _page_groups(sample):
            groups["pages"].setdefault(group, []).append(sample)
        for source in sample["evidence_sources"]:
            groups["evidence_sources"].setdefault(source, []).append(sample)
        groups["doc_type"].setdefault(sample["doc_type"], []).append(sample)
    return {
        name: {
            group: eval_acc_and_f1(members, upstream_compat=upstream_compat)
            for group, members in sorted(group_members.items())
        }
        for name, group_members in groups.items()
    }


def _page_groups(sample: Mapping) -> Iterable[str]:
    if len(sample["evidence_pages"]) == 1:
        yield "single-page"
    elif sample["answer"] != NOT_ANSWERABLE:
        yield "cross-page"
    if sample["answer"] == NOT_ANSWERABLE:
        yield "unanswerable"
