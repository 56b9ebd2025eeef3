"""evaluation/prompt_length.py: counted tokens are the tokens that the processor makes."""

import pytest
import tiny
from PIL import Image
from test_evaluation_prompting import example

from mmprolong_hf.encoding import encode_page, encode_tail, encode_turn
from mmprolong_hf.evaluation.prompt_length import PromptCosts, prompt_length
from mmprolong_hf.evaluation.prompting import PROMPT_VERSIONS, make_contexts
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.prompt import turn_text

SIZES = ((84, 112), (112, 84), (140, 140))


def pages() -> tuple[PageImage, ...]:
    return tuple(PageImage(tiny.jpeg(tiny.page(seed, *size))) for seed, size in enumerate(SIZES))


def costs_of(processor, version: str, asked) -> int:
    costs = PromptCosts(processor, version, asked.dataset)
    each = [costs.page(*page) for page in zip(asked.labels, asked.page_numbers, SIZES, strict=True)]
    return costs.around(asked.doc_name, asked.question) + sum(each)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("version", PROMPT_VERSIONS)
def test_counted_tokens_are_the_processors(family, version):
    processor, asked = tiny.processor(family), example(pages=pages())
    (context,) = make_contexts([asked], version)
    (ask,) = context.asks
    text = turn_text(processor, [*context.parts, ask.text]) + ask.answer_start
    images = [page.open() for page in context.pages]
    encoded = processor(text=[text], images=images, return_tensors="pt", add_special_tokens=False)
    counted = prompt_length(processor, context, ask, SIZES)
    assert counted == encoded.input_ids.shape[1]
    assert counted == costs_of(processor, version, asked)
    # and those of the engine, which reads the pages before it is asked
    grids = [part if isinstance(part, str) else encode_page(processor, part.open())["image_grid_thw"][0] for part in context.parts]  # fmt: skip
    turn, tail = encode_turn(processor, grids), encode_tail(processor, ask.text, ask.answer_start)
    assert counted == len(turn["input_ids"]) + len(tail)


@pytest.mark.parametrize("merged", ["answer]\n\nDocument 4", "]\n\nDoc"])
def test_costs_are_never_below_the_length(merged):
    """Tokens that reach from the head into the first page's words make the prompt shorter than its pieces, not longer."""
    processor, asked = tiny.processor(), example(pages=pages())
    (context,) = make_contexts([asked], "v1.1")
    before = prompt_length(processor, context, context.asks[0], SIZES)
    assert processor.tokenizer.add_tokens([merged]) == 1
    length = prompt_length(processor, context, context.asks[0], SIZES)
    assert before - len(merged) < length < before
    assert length < costs_of(processor, "v1.1", asked) <= before


def test_a_page_that_the_processor_refuses_has_no_cost():
    costs = PromptCosts(tiny.processor(), "plain", "mine")
    with pytest.raises(ValueError, match="aspect ratio of at most 200"):
        costs.page("report", 1, (10, 2010))


def test_text_with_a_placeholder_is_refused():
    processor = tiny.processor()
    with pytest.raises(ValueError, match="expected text without a page's placeholder"):
        PromptCosts(processor, "plain", "mine").around("report", "What is <|image_pad|>?")


def test_limits_are_the_processors():
    small, large = (PromptCosts(tiny.processor(max_pixels=28 * 28 * area), "plain", "mine") for area in (4, 400))
    size = Image.new("RGB", (280, 280)).size
    assert large.page("report", 1, size) - small.page("report", 1, size) == 100 - 4
