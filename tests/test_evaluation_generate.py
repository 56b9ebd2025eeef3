"""generate.py: greedy, equal to the plainest decoding there is, whatever the checkpoint's generation_config says."""

import pytest
import tiny
import torch

from mmprolong_hf.encoding import encode_prompt
from mmprolong_hf.evaluation.generate import answer, document_context, load_model, page_image
from mmprolong_hf.evaluation.requests import Ask
from mmprolong_hf.prompt import prompt_text, turn_text

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


def test_a_page_of_a_row_keeps_its_pixels_and_its_bytes():
    encoded = tiny.jpeg(PAGES[0])
    assert page_image({"bytes": encoded, "path": None}).data == encoded
    for mode in ("RGB", "L", "RGBA"):
        image = PAGES[0].convert(mode)
        assert page_image(image).open().tobytes() == image.convert("RGB").tobytes()


def test_a_documents_context_has_the_words_of_training():
    processor = tiny.processor()
    context = document_context([page_image(page) for page in PAGES], [Ask("a", QUESTION, "It ", 7)])
    (ask,) = context.asks
    assert turn_text(processor, [*context.parts, ask.text]) == prompt_text(processor, [1, 2, 3], QUESTION)
    assert (ask.id, ask.answer_start, ask.max_new_tokens) == ("a", "It ", 7)


def test_an_answer_needs_a_page_and_memory():
    model, processor = tiny.model(), tiny.processor()
    with pytest.raises(ValueError, match="a context does not end with a page"):
        answer(model, processor, [], QUESTION)
    model.model.visual.register_forward_pre_hook(lambda *_: torch.empty(1 << 60))
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        answer(model, processor, PAGES, QUESTION)
