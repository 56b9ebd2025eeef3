"""What a model keeps of a context that it has read: built in chunks, continued by several questions that do not see each other."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from mmprolong_hf.evaluation.prefix_attention import prefix_attention_in
from mmprolong_hf.positions import mrope_position_ids

CONTEXT = -1  # the owner of tokens that all questions see


@dataclass
class PrefixCache:
    """
    Args:
        keys_values (`DynamicCache`): Of the context's tokens, on the model's device.
        length (`int`): Number of those tokens.
        next_position (`int`): M-RoPE, of the first token after them: one more than the largest so far, far below `length`.
    """

    keys_values: DynamicCache
    length: int
    next_position: int


@torch.no_grad()
def read_prefix(
    model: PreTrainedModel,
    turn: dict[str, torch.Tensor],
    features: Callable[[int, int], BaseModelOutputWithPooling],
    *,
    chunk: int,
    merge_size: int = 2,
) -> PrefixCache:
    """
    Put a context through a model, `chunk` tokens at a time, which bounds the memory of activations.

    Args:
        model (`PreTrainedModel`): Qwen2.5-VL or Qwen3-VL.
        turn (`dict`): From [`~mmprolong_hf.encoding.encode_turn`].
        features (`Callable`): Vision features of a run of image tokens, counted over the whole turn.
        chunk (`int`): In tokens; it may end within a page.
        merge_size (`int`): Patches that are merged into one token, per side.
    """
    # Positions are always given: without them a model goes on from `rope_deltas`, which are those of the prompt it saw last.
    positions = mrope_position_ids(turn["mm_token_type_ids"], turn["image_grid_thw"], merge_size)
    num_images_before = [0, *turn["mm_token_type_ids"].cumsum(0).tolist()]
    length = len(turn["input_ids"])
    cache = DynamicCache(config=model.config.get_text_config())
    with prefix_attention_in(model):
        for start in range(0, length, chunk):
            stop = min(start + chunk, length)
            first, last = num_images_before[start], num_images_before[stop]
            model.model(  # without the head: no token of a context needs its logits
                input_ids=turn["input_ids"][None, start:stop].to(model.device),
                position_ids=positions[:, None, start:stop].to(model.device),
                mm_encoder_outputs={"image": features(first, last)} if first < last else None,
                past_key_values=cache,
                use_cache=True,
            )
    return PrefixCache(cache, length, int(positions.max()) + 1)


@torch.no_grad()
def generate_answers(
    model: PreTrainedModel,
    prefix: PrefixCache,
    tails: Sequence[torch.Tensor],
    *,
    limits: Sequence[int],
    ends: Collection[int],
) -> list[list[int]]:
    """
    Greedy answers to questions behind one context, all in one row: every step adds the next token of each unfinished answer to
    the row, and a mask keeps the questions apart. (Tree attention, as in SpecInfer, arXiv 2305.09781.)

    Args:
        prefix (`PrefixCache`): From [`read_prefix`]; left as it was found.
        tails (`Sequence[torch.Tensor]`): From [`~mmprolong_hf.encoding.encode_tail`].
        limits (`Sequence[int]`): Most tokens of each answer.
        ends (`Collection[int]`): Tokens that end an answer and are not part of it.

    Returns:
        `list[list[int]]`: The tokens of each answer.
    """
    written = [[] for _ in tails]
    next_positions = [prefix.next_position] * len(tails)
    owners = torch.full((prefix.length,), CONTEXT, device=model.device)
    unseen = dict(enumerate(tails))  # of every question without a full answer, the tokens that the model has not seen
    with prefix_attention_in(model):
        while unseen:
            sizes = torch.tensor([len(tokens) for tokens in unseen.values()])
            owners = torch.cat([owners, torch.tensor(list(unseen)).repeat_interleave(sizes).to(model.device)])
            positions = [torch.arange(len(new)) + next_positions[question] for question, new in unseen.items()]
            logits = model(
                input_ids=torch.cat(list(unseen.values()))[None].to(model.device),
                position_ids=torch.cat(positions).expand(3, 1, -1).to(model.device),
                attention_mask=visible(owners, int(sizes.sum())),
                past_key_values=prefix.keys_values,
                use_cache=True,
                logits_to_keep=(sizes.cumsum(0) - 1).to(model.device),  # the last token of each question
            ).logits[0]
            for question, token in zip(list(unseen), logits.argmax(-1).tolist()):
                next_positions[question] += len(unseen.pop(question))
                if token not in ends:
                    written[question].append(token)
                    if len(written[question]) < limits[question]:
                        unseen[question] = torch.tensor([token])
    prefix.keys_values.crop(prefix.length - prefix.keys_values.get_seq_length())
    return written


def visible(owners: torch.Tensor, num_new: int) -> torch.Tensor:
    """
    Which keys the newest tokens of a row see: the context, and what comes before them of their own question.

    Args:
        owners (`torch.Tensor` of shape `(num_keys,)`): The question each token belongs to, or `CONTEXT`.
        num_new (`int`): How many of them are queries.

    Returns:
        `torch.Tensor` of shape `(1, 1, num_new, num_keys)`, bool.

    Example:

    ```python
    >>> visible(torch.tensor([-1, -1, 0, 0, 1]), 3).int()[0, 0]
    tensor([[1, 1, 1, 0, 0],
            [1, 1, 1, 1, 0],
            [1, 1, 0, 0, 1]], dtype=torch.int32)

    ```
    """
    order = torch.arange(len(owners), device=owners.device)
    related = (owners == CONTEXT) | (owners == owners[-num_new:, None])
    return (related & (order <= order[-num_new:, None]))[None, None]
