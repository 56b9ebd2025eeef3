"""evaluation/examples.py: what an example must hold, and sets of them."""

from dataclasses import replace

import pytest

from mmprolong_hf.evaluation.examples import Example, ExampleSet, Skipped, join_sets
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
