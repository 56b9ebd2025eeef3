"""What a selection came to: its shares, lengths and depths beside those that were asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from .mixture import DEPTHS, MixtureOptions

HISTOGRAM_STEP = 8 * 1024  # tokens


def describe_selection(table: Mapping[str, Sequence], indices: np.ndarray, options: MixtureOptions) -> dict:
    """
    Numbers of a selection, as `selection.Selection.achieved` holds them.

    Args:
        table (`Mapping[str, Sequence]`): As `selection.select_samples` takes it.
        indices (`np.ndarray` of shape `(num_chosen,)`): Rows that were chosen.
        options (`MixtureOptions`): What was wanted.

    Example:

    ```python
    >>> table = {"document": ["a", "b"], "task": ["reasoning"] * 2, "depth": [0, 9], "tokens": [900, 9000]}
    >>> numbers = describe_selection(table, np.array([0, 1]), MixtureOptions(shares={"reasoning": 1.0}))
    >>> numbers["samples"], numbers["tokens"], numbers["histogram"], numbers["depths"]["reasoning"]
    (2, 9900, {0: 1, 8192: 1}, [1, 0, 0, 0, 0, 0, 0, 0, 0, 1])

    ```
    """
    tokens, depths = (np.asarray(table[name], dtype=np.int64)[indices] for name in ("tokens", "depth"))
    tasks = np.array([table["task"][row] for row in indices.tolist()], dtype=object)
    members = {
        "tasks": {task: (tasks == task, share) for task, share in options.shares.items()},
        "lengths": {
            name: ((tokens >= low) & (tokens < high), share) for low, high, share, name in options.length_ranges
        },
    }
    amounts = tokens if options.share_unit == "tokens" else np.ones_like(tokens)
    total, least = int(amounts.sum()), float(amounts.mean()) if len(amounts) else 1.0
    groups = {
        kind: {
            name: {
                "samples": int(inside.sum()),
                "tokens": int(tokens[inside].sum()),
                "share": round(int(amounts[inside].sum()) / max(total, 1), 6),
                "wanted": share,
            }
            for name, (inside, share) in named.items()
        }
        for kind, named in members.items()
    }
    short = {
        name: share * total - int(amounts[inside].sum())
        for named in members.values()
        for name, (inside, share) in named.items()
    }
    shortfall = {name: round(amount) for name, amount in short.items() if amount >= least}
    if options.long_budget is not None and options.long_budget - tokens.sum() >= max(tokens, default=1):
        shortfall["token_budget"] = int(options.long_budget - tokens.sum())
    steps = Counter((tokens // HISTOGRAM_STEP * HISTOGRAM_STEP).tolist())
    return {
        "samples": len(indices),
        "tokens": int(tokens.sum()),
        "documents": len({table["document"][row] for row in indices.tolist()}),
        **groups,
        "depths": {task: np.bincount(depths[tasks == task], minlength=DEPTHS).tolist() for task in options.shares},
        "histogram": dict(sorted(steps.items())),
        "shortfall": shortfall,
    }
