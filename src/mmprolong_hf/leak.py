"""Does a sample of a pack see its neighbours? Measured on the model and the pack that will be trained."""

from typing import Any

import torch


@torch.no_grad()
def measure_leak(model: torch.nn.Module, pack: dict[str, Any]) -> float:
    """
    How much the last logits of the later samples of a pack move when the first sample's text is replaced, relative to how
    much the first sample's own move. Zero where samples are separate; near 1 where they are not.

    Every known way to pack wrongly (a mask of ones, three position rows, a cache) trains without an error, so this is asked of
    the real model before the first step. It costs two forward passes without gradients.

    Args:
        model (`torch.nn.Module`): The model, wrapped or not; it is put in eval mode and back.
        pack (`dict`): Model inputs from [`~mmprolong_hf.collator.PackCollator`], with at least two samples.

    Returns:
        `float`: Largest difference over the samples after the first, divided by that of the first.

    Raises:
        ValueError: when the pack holds fewer than two samples, when a sample's positions do not restart at 0, or when the
            replaced text changed nothing (the test would then see no leak either).
    """
    bounds = pack["cu_seq_lens_q"].tolist()
    if len(bounds) < 3:
        raise ValueError("a leak test needs a pack of at least two samples, got one")
    starts = pack["position_ids"][:, 0, bounds[:-1]]
    if starts.any():
        raise ValueError(f"position_ids of the samples start at {starts.T.tolist()}, expected 0 in every row")
    device = pack["input_ids"].device
    inputs = {key: value for key, value in pack.items() if key != "labels"}
    inputs["logits_to_keep"] = torch.tensor([end - 1 for end in bounds[1:]], device=device)

    first = pack["input_ids"][0, : bounds[1]]
    is_text = pack["mm_token_type_ids"][0, : bounds[1]] == 0
    other = pack["input_ids"].clone()
    # Any text will do; the sample's own tokens in reverse are sure to be in the vocabulary.
    other[0, : bounds[1]][is_text] = first[is_text].flip(0)

    training = model.training
    model.eval()
    clean = model(**inputs).logits[0].float()
    moved = (model(**{**inputs, "input_ids": other}).logits[0].float() - clean).abs().amax(dim=-1)
    model.train(training)
    if moved[0] == 0:
        raise ValueError("replacing the first sample's text did not change its own logits; the leak test saw nothing")
    return (moved[1:].max() / moved[0]).item()
