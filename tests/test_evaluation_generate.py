"""generate.py: greedy, equal to the plainest decoding there is, whatever the checkpoint's generation_config says."""

import pytest
import tiny
import torch

from mmprolong_hf.encoding import encode_prompt
from mmprolong_hf.evaluation.generate import answer, load_model

PAGES = [tiny.page(seed, 84, 112) for seed in range(3)]
QUESTION = "What is on page 2?"


def plain_greedy(model, processor, num_tokens):
    """Every token from a full forward pass: no cache, no `generate`."""
    inputs = encode_prompt(processor, PAGES, [1, 2, 3], QUESTION)
    length = inputs["input_ids"].shape[1]
    for _ in range(num_tokens):
        with torch.no_grad():
            token = model(**inputs, use_cache=False).logits[0, -1].argmax()
        if token == processor.tokenizer.eos_token_id:
            break
        for name, value in (("input_ids", int(token)), ("attention_mask", 1), ("mm_token_type_ids", 0)):
            inputs[name] = torch.cat([inputs[name], torch.full((1, 1), value, dtype=inputs[name].dtype)], dim=1)
    return processor.tokenizer.decode(inputs["input_ids"][0, length:], skip_special_tokens=True).strip()


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_answer_equals_plain_greedy(family, seed):
    model, processor = tiny.model(family, seed=seed), tiny.processor(family)
    expected = plain_greedy(model, processor, 12)
    assert expected
    assert answer(model, processor, PAGES, QUESTION, max_new_tokens=12) == expected


def test_the_checkpoints_generation_config_has_no_say():
    model, processor = tiny.model(), tiny.processor()
    expected = answer(model, processor, PAGES, QUESTION)
    model.generation_config.update(repetition_penalty=50.0, do_sample=True, temperature=5.0, num_beams=1)
    assert answer(model, processor, PAGES, QUESTION) == expected
    inputs = encode_prompt(processor, PAGES, [1, 2, 3], QUESTION)
    penalised = model.generate(**inputs, do_sample=False, max_new_tokens=32)[0, inputs["input_ids"].shape[1] :]
    assert processor.tokenizer.decode(penalised, skip_special_tokens=True).strip() != expected, "the guard saw nothing"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_saved_checkpoint_answers_the_same(family, tmp_path):
    model, processor = tiny.model(family), tiny.processor(family)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert not loaded.training
    assert answer(loaded, processor, PAGES, QUESTION) == answer(model, processor, PAGES, QUESTION)
