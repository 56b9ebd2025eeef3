"""Does a sample of a pack see its neighbours, and all of its document? Measured on the model and the pack that will be trained."""

from typing import Any

import torch
from datasets import Dataset

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.layout import PackLayout
from mmprolong_hf.loader import PartRows, pack_rows
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.sharing import Parts

SAW_NOTHING = "replacing a sample's text did not change its own logits; the leak test saw nothing"
IS_BLIND = (
    f"a sample of a pack does not see the document it shares; attention has to be {PACKED_ATTENTION!r} for that, or "
    "share_documents off"
)


def telling_samples(dataset: Dataset, plan: PackingPlan, parts: Parts) -> list[list[dict[str, Any]]] | None:
    """
    The samples of the plan's first pack that could leak: of two or more, in which a document is shared if there is such a pack. It
    is the same on every rank, which FSDP needs.

    Args:
        dataset (`Dataset`): From [`~mmprolong_hf.sample_encoder.samples_dataset`].
        plan (`PackingPlan`), parts (`Parts`): Over it.

    Returns:
        What [`~mmprolong_hf.collator.PackCollator`] takes, or `None` when every pack is a single sample.
    """
    several = [pack for pack in plan.packs(epoch=0) if sum(parts.num_samples[part] for part in pack) > 1]
    several.sort(key=lambda pack: parts.num_samples[pack].max() == 1)
    read = (PartRows(dataset).__getitems__(pack_rows(pack, parts)) for pack in several)
    return next((pack for pack in read if sum(map(len, pack)) > 1), None)  # broken pages may have left fewer


@torch.no_grad()
def measure_leak(model: torch.nn.Module, pack: dict[str, Any]) -> float:
    """
    How much the last logits of the other samples of a pack move when one sample's own text is replaced, relative to how much its
    own move. Zero where samples are separate; near 1 where they are not.

    Every known way to pack wrongly (a mask of ones, three position rows, a cache) trains without an error, so this is asked of
    the real model before the first step, in up to three trials, each a forward pass without gradients beside one that replaces nothing:

    - the first sample's text is replaced: no other sample may move;
    - where a document is shared, the first such document's text: all of its branches have to move, and nothing else may;
    - and its first branch's text: no sibling may move.

    Args:
        model (`torch.nn.Module`): The model, wrapped or not; it is put in eval mode and back.
        pack (`dict`): Model inputs from [`~mmprolong_hf.collator.PackCollator`], with at least two samples.

    Returns:
        `float`: Largest difference over the other samples, divided by that of the replaced one.

    Raises:
        ValueError: when the pack holds fewer than two samples, when a sample's positions do not restart at 0, when the replaced
            text changed nothing (the test would then see no leak either), or when a sample does not see the document it shares.
    """
    layout = pack["layout"]
    leaves = layout.leaves
    if len(leaves) < 2:
        raise ValueError("a leak test needs a pack of at least two samples, got one")
    branches = [document.branches for document in layout.documents]
    alone = [start for start, _ in layout.segments.pairs if not any(b.start <= start < b.stop for b in branches)]
    starts = pack["position_ids"][:, 0, alone]
    if starts.any():
        raise ValueError(f"position_ids of the samples start at {starts.T.tolist()}, expected 0 in every row")
    inputs = {key: value for key, value in pack.items() if key != "labels"}
    last = [end - 1 for _, end in leaves]
    inputs["logits_to_keep"] = torch.tensor(last, device=pack["input_ids"].device)

    training = model.training
    model.eval()
    clean = model(**inputs).logits[0].float()
    trials = _trials(layout)
    moves = [_moved(model, inputs, replaced, clean) for replaced, _ in trials]
    model.train(training)

    leaks = []
    for (replaced, reach), moved in zip(trials, moves):
        own = torch.tensor([reach.start <= position < reach.stop for position in last], device=moved.device)
        if (moved[own] == 0).any():
            raise ValueError(SAW_NOTHING if replaced == reach else IS_BLIND)
        leaks.append(moved[~own] / moved[own].max())
    return torch.cat(leaks).max().item()


def _trials(layout: PackLayout) -> list[tuple[slice, slice]]:
    """Tokens whose text is replaced, and the tokens that this may move."""
    first, *others = (slice(*leaf) for leaf in layout.leaves)
    trials = [(first, first)]
    for document in layout.documents[:1]:
        trials.append((document.tokens, document.branches))
        trials += [(branch, branch) for branch in others if branch.start == document.end]
    return trials


def _moved(model: torch.nn.Module, inputs: dict[str, Any], run: slice, clean: torch.Tensor) -> torch.Tensor:
    """How far the kept logits move when the text of these tokens is replaced: by its own in reverse, so of the vocabulary."""
    ids = inputs["input_ids"].clone()
    is_text = inputs["mm_token_type_ids"][0, run] == 0
    ids[0, run][is_text] = ids[0, run][is_text].flip(0)
    return (model(**{**inputs, "input_ids": ids}).logits[0].float() - clean).abs().amax(dim=-1)
