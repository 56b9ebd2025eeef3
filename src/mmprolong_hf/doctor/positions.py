"""How far positions and tokens of a dataset reach, and whether a pack's positions are those of its samples."""

from typing import Any

import numpy as np
import torch
from datasets import Dataset

from mmprolong_hf.doctor.findings import NOTE, OK, WRONG, Finding
from mmprolong_hf.layout import PackLayout
from mmprolong_hf.positions import sample_position_ids

QUANTILES = {"least": 0.0, "half": 0.5, "90%": 0.9, "most": 1.0}


def audit_positions(samples: Dataset, *, window: int, first_window: int) -> list[Finding]:
    """
    Tokens and largest M-RoPE positions of all samples, beside the window.

    Args:
        samples (`Dataset`): With the columns `length` and `span` of [`~mmprolong_hf.samples.list_samples`], which follow from the
            sizes of pages alone.
        window (`int`): `max_position_embeddings` in training.
        first_window (`int`): That of the base model.

    Example:

    ```python
    >>> samples = Dataset.from_dict({"document": [0, 0, 1], "length": [90, 95, 60], "span": [20, 25, 35]})
    >>> audit_positions(samples, window=128, first_window=32)[-1].text
    "33.3% of samples have positions beyond the base model's 32"

    ```
    """
    lengths, spans = np.asarray(samples["length"]), np.asarray(samples["span"])
    findings = [
        Finding("distribution", _table({"tokens": lengths, "largest position": spans - 1})),
        Finding(
            "window",
            f"{len(spans):,} samples of {len(set(samples['document'])):,} documents; positions reach to {window:,} "
            f"(max_position_embeddings), to {first_window:,} in the base model",
        ),
    ]
    beyond = int((spans > window).sum())
    if beyond:
        text = f"{beyond:,} samples have positions beyond {window:,}, {spans.max() - 1:,} at most; raise max_position_embeddings, or lower max_length"
        findings.append(Finding("beyond the window", text, NOTE))
    elif spans.max() <= first_window:
        text = (
            f"no sample has a position beyond the base model's {first_window:,}: pages advance positions by their longer side only "
            f"({(spans / lengths).mean():.2g} a token here). Training lengthens what is attended to, not the range of positions"
        )
        findings.append(Finding("growth", text, NOTE))
    else:
        share = (spans > first_window).mean()
        findings.append(
            Finding("growth", f"{share:.1%} of samples have positions beyond the base model's {first_window:,}", OK)
        )
    return findings


def check_pack_positions(pack: dict[str, Any], merge_size: int) -> Finding:
    """
    Every sample's `position_ids` against [`~mmprolong_hf.positions.sample_position_ids`] of it alone.

    Args:
        pack (`dict`): From the trainer's collator, on the CPU.
        merge_size (`int`): Of the vision tower.
    """
    found, kinds, layout = pack["position_ids"][:, 0], pack["mm_token_type_ids"][0], pack["layout"]
    what, rows = "first pack", ("text", "time", "height", "width")
    if found.shape[0] != len(rows):
        text = f"position_ids have {found.shape[0]} rows, expected 4 (text, time, height, width): samples see each other without the first"
        return Finding(what, text, WRONG)
    owns = _tokens_of_samples(layout)
    grids = list(pack.get("image_grid_thw", torch.zeros(0, 3, dtype=torch.int64)))
    grids_from: dict[int, list] = {}
    for number, tokens in enumerate(owns, start=1):
        start = int(tokens[0])
        if start not in grids_from:
            is_image = torch.cat([torch.zeros(1, dtype=torch.bool), kinds[tokens] == 1])
            runs = int((is_image[1:] & ~is_image[:-1]).sum())
            grids_from[start], grids = grids[:runs], grids[runs:]
        own = grids_from[start]
        expected = sample_position_ids(
            kinds[tokens], torch.stack(own) if own else torch.zeros(0, 3, dtype=torch.int64), merge_size
        )
        wrong = (found[:, tokens] != expected).nonzero()
        if len(wrong):
            row, at = wrong[wrong[:, 1].argmin()].tolist()
            text = (
                f"sample {number} of {len(owns)}: the {rows[row]} row of position_ids is {found[row, tokens[at]]} at its token {at}, "
                f"expected {expected[row, at]}; positions of a sample go on from 0 as positions.sample_position_ids has them. Pass "
                "inputs from PackCollator unchanged"
            )
            return Finding(what, text, WRONG)
    return Finding(what, f"{len(owns)} samples, each with the positions that it has alone, from 0 on")


def _tokens_of_samples(layout: PackLayout) -> list[torch.Tensor]:
    """Indices of each sample's tokens: its document's, if that is shared, and its own."""
    documents = {branch: d for d in layout.documents for branch in range(d.end, d.stop)}
    samples = []
    for start, end in layout.leaves:
        own = torch.arange(start, end)
        if start in documents:
            own = torch.cat([torch.arange(documents[start].start, documents[start].end), own])
        samples.append(own)
    return samples


def _table(rows: dict[str, np.ndarray]) -> str:
    width = max(map(len, rows))
    lines = [" " * width + "".join(f"{name:>9}" for name in QUANTILES)]
    for name, values in rows.items():
        lines.append(f"{name:<{width}}" + "".join(f"{np.quantile(values, q):>9,.0f}" for q in QUANTILES.values()))
    return "\n".join(lines)
