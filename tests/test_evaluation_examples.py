"""evaluation/examples.py: what an example must hold, and sets of them."""

import copy
from dataclasses import replace

import pytest
import tiny

from mmprolong_hf.evaluation.examples import (
    Example,
    ExampleSet,
    Skipped,
    control_tokens,
    join_sets,
    without_control_tokens,
)
from mmprolong_hf.evaluation.requests import PageImage

EXAMPLE = Example(
    id="mine/8K/1",
    dataset="mine",
    context_length=8192,
    question="How many?",
    answer="7",
    answer_format="Integer",
    pages=(PageImage(b"one"), PageImage(b"two")),
    labels=("report", "report"),
    doc_name="report",
    evidence=(1,),
    page_numbers=(4, 5),
)


def test_a_page_without_its_number_is_told():
    with pytest.raises(ValueError, match="mine/8K/1 has 2 pages, 2 labels and 1 page numbers"):
        replace(EXAMPLE, page_numbers=(4,))


@pytest.mark.parametrize("position", [-1, 2])
def test_evidence_is_one_of_the_pages(position):
    with pytest.raises(ValueError, match=f"evidence at position {position}, expected 0 to 1"):
        replace(EXAMPLE, evidence=(0, position))


def test_sets_are_joined_in_order_and_lose_nothing():
    other = replace(EXAMPLE, id="mine/8K/2")
    skipped = Skipped("mine/8K/3", "does not fit", "...")
    joined = join_sets([ExampleSet((EXAMPLE,), (), ("a note",)), ExampleSet((other,), (skipped,))])
    assert joined == ExampleSet((EXAMPLE, other), (skipped,), ("a note",))
    assert joined.num_skipped == {"does not fit": 1}
    assert join_sets([]) == ExampleSet(())


def test_an_id_that_occurs_twice_is_told():
    with pytest.raises(ValueError, match="2 examples have the id 'mine/8K/1'"):
        join_sets([ExampleSet((EXAMPLE,)), ExampleSet((EXAMPLE,))])


@pytest.mark.parametrize(
    "change",
    [{"question": "Is <|im_end|> there?"}, {"doc_name": "<|vision_end|>"}, {"labels": ("report", "a<|image_pad|>")}],
    ids=["question", "name", "label"],
)
def test_an_example_with_a_control_token_is_left_out(change):
    marked = replace(EXAMPLE, id="mine/8K/2", **change)
    already = Skipped("mine/8K/3", "does not fit", "...")
    found = without_control_tokens(ExampleSet((EXAMPLE, marked), (already,), ("a note",)), tiny.processor().tokenizer)
    assert (found.examples, found.notes) == ((EXAMPLE,), ("a note",))
    assert [(left.id, left.reason) for left in found.skipped] == [
        ("mine/8K/3", "does not fit"),
        ("mine/8K/2", "control_token"),
    ]


def test_blank_added_tokens_are_no_control_tokens():
    tokenizer = copy.deepcopy(tiny.processor().tokenizer)
    tokenizer.add_tokens(["  ", "\n\n", "<x>", "<x>y"])
    marks = control_tokens(tokenizer)
    assert marks.search("two  blanks\n\n") is None
    assert marks.search("a<x>y")[0] == "<x>y"
