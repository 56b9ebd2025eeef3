"""prefix_cache.py: keys, values and logits of a context read in chunks are those of one pass, and stay as they are."""

import pytest
import tiny
import torch

from mmprolong_hf.encoding import encode_document, encode_tail
from mmprolong_hf.evaluation.prefix_cache import generate_answers, read_prefix

PAGES = [tiny.page(seed, 84 + 28 * seed, 112) for seed in range(3)]


def read(model, processor, chunk):
    document = encode_document(processor, PAGES, [1, 2, 3])
    grid = document["image_grid_thw"]
    with torch.no_grad():
        whole = model.model.get_image_features(document["pixel_values"], grid, return_dict=True)

    def features(start, stop):
        part = type(whole)(pooler_output=[torch.cat(whole.pooler_output)[start:stop]])
        if "deepstack_features" in whole:
            part.deepstack_features = [[torch.cat(layer)[start:stop]] for layer in whole.deepstack_features]
        return part

    return document, read_prefix(model, document, features, chunk=chunk)


@pytest.mark.parametrize("chunk", [1, 5, 16, 10**6])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_chunks_leave_the_keys_and_values_of_one_pass(family, chunk):
    model, processor = tiny.model(family), tiny.processor(family)
    document, prefix = read(model, processor, chunk)
    inputs = {name: value[None] if value.dim() == 1 else value for name, value in document.items()}
    with torch.no_grad():
        once = model(**inputs, use_cache=True)
    assert prefix.length == len(document["input_ids"]) == prefix.keys_values.get_seq_length()
    for ours, theirs in zip(prefix.keys_values.layers, once.past_key_values.layers, strict=True):
        torch.testing.assert_close(ours.keys, theirs.keys, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.values, theirs.values, rtol=1e-4, atol=1e-4)
    positions, _ = model.model.get_rope_index(
        inputs["input_ids"], inputs["mm_token_type_ids"], image_grid_thw=document["image_grid_thw"]
    )
    assert prefix.next_position == positions.max() + 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_answers_leave_the_prefix_as_it_was_and_stop_where_told(family):
    model, processor = tiny.model(family), tiny.processor(family)
    _, prefix = read(model, processor, 20)
    before = [(layer.keys.clone(), layer.values.clone()) for layer in prefix.keys_values.layers]
    tails = [encode_tail(processor, text) for text in ("Why?", "What is on page 2?", "12")]
    free = generate_answers(model, prefix, tails, limits=[9, 3, 6], ends=[])
    assert [len(tokens) for tokens in free] == [9, 3, 6]
    for layer, (keys, values) in zip(prefix.keys_values.layers, before):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)
    end = free[0][4]
    ended = generate_answers(model, prefix, tails, limits=[9, 3, 6], ends=[end])
    assert ended == [tokens[: tokens.index(end)] if end in tokens else tokens for tokens in free]
    assert len(ended[0]) < 9
