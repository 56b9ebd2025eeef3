"""evaluation/document_questions.py: contexts of a wanted length, counted by the processor that reads them."""

from dataclasses import replace

import pytest
import tiny

from mmprolong_hf.evaluation.document_questions import question_examples
from mmprolong_hf.evaluation.prompt_length import PromptCosts, prompt_length
from mmprolong_hf.evaluation.prompting import PROMPT_VERSIONS, make_contexts
from mmprolong_hf.evaluation.source_documents import SourceDocument, SourceQuestion

PAGE = (112, 112)  # 16 tokens
IMAGE = {"bytes": tiny.jpeg(tiny.page(0, *PAGE)), "path": None}


def document(name: str, num_pages: int, *evidence: tuple[int, ...]) -> SourceDocument:
    questions = tuple(
        SourceQuestion(f"{name}/{k}", f"What is on {pages}?", str(k), "String", pages)
        for k, pages in enumerate(evidence)
    )
    return SourceDocument(name, f"key-{name}", (PAGE,) * num_pages, "jpeg", lambda: [IMAGE] * num_pages, questions)


DOCUMENTS = [
    document("long", 40, (20,), (22,), ()),
    document("short", 3, (1, 3), (2,)),
    *(document(f"other{k}", 1 + 3 * k) for k in range(6)),
]


def examples_of(folder, documents=DOCUMENTS, **changes):
    options = {"dataset": "mine", "lengths": [1500], "max_new_tokens": 16} | changes
    return question_examples(documents, tiny.processor(), folder, **options)


@pytest.mark.parametrize("share_context", [True, False])
@pytest.mark.parametrize("version", PROMPT_VERSIONS)
def test_prompt_and_answer_take_at_most_the_length(tmp_path, version, share_context):
    found = examples_of(tmp_path, prompt_version=version, lengths=[1100, 1500], share_context=share_context)
    assert len(found.examples) == 10
    assert not found.skipped
    page = PromptCosts(tiny.processor(), version, "mine").page("other5", 99, PAGE)
    for example in found.examples:
        (context,) = make_contexts([example], version)
        tokens = prompt_length(tiny.processor(), context, context.asks[0], [PAGE] * len(example.pages)) + 16
        # What is left is less than a page, but for questions that are shorter than the longest of their context.
        assert example.context_length - page - 20 < tokens <= example.context_length


def test_a_long_document_is_cut_and_a_short_one_filled_up(tmp_path):
    by_id = {example.id: example for example in examples_of(tmp_path).examples}
    long, short = by_id["mine/1500/long/0"], by_id["mine/1500/short/0"]
    assert set(long.labels) == {"long"}
    numbers = list(long.page_numbers)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert [long.page_numbers[position] for position in long.evidence] == [20]
    start = short.labels.index("short")
    assert short.labels[start : start + 3] == ("short",) * 3
    assert short.labels[0] != "short" != short.labels[-1]
    assert len(set(short.labels)) > 2
    assert [short.page_numbers[position] for position in short.evidence] == [1, 3]
    assert short.evidence == (start, start + 2)
    assert short.evidence_depths[0] == pytest.approx(start / len(short.pages), abs=0.05)
    assert by_id["mine/1500/long/2"].evidence == ()


def test_shared_contexts_are_one_and_keep_the_evidence_of_all(tmp_path):
    examples = examples_of(tmp_path).examples
    contexts = make_contexts(examples, "plain")
    assert [len(context.asks) for context in contexts] == [3, 2]
    assert {20, 22} <= set(examples[0].page_numbers)
    own = examples_of(tmp_path, share_context=False).examples
    assert [len(context.asks) for context in make_contexts(own, "plain")] == [3, 1, 1]  # cutting draws no documents
    assert own[3].labels != own[4].labels


def test_the_seed_decides_with_dataset_document_and_length(tmp_path):
    drawn = examples_of(tmp_path).examples
    assert examples_of(tmp_path).examples == drawn
    assert examples_of(tmp_path, lengths=[1100, 1500]).examples[5:] == drawn
    assert examples_of(tmp_path, seed=1).examples[3].labels != drawn[3].labels
    assert examples_of(tmp_path, dataset="other").examples[3].labels != drawn[3].labels
    assert set(examples_of(tmp_path, DOCUMENTS[::-1]).examples) == set(drawn)  # the order of rows does not matter


def test_only_pages_that_are_used_are_stored(tmp_path):
    examples = examples_of(tmp_path, lengths=[1100]).examples
    used = {page.data for example in examples for page in example.pages}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == used
    assert len(used) < sum(len(document.sizes) for document in DOCUMENTS)


def test_what_has_no_context_is_listed_with_its_reason(tmp_path):
    asked = [
        document("wide", 40, (1, 40)),
        document("beyond", 3, (4,), (2,)),
        replace(document("thin", 1, (1,)), sizes=((10, 2010),)),
        document("filler", 60),
    ]
    found = examples_of(tmp_path, asked)
    assert [example.id for example in found.examples] == ["mine/1500/beyond/1"]
    assert found.num_skipped == {"page refused": 2, "does not fit": 1, "evidence outside": 1}
    details = {skipped.id: skipped.detail for skipped in found.skipped}
    assert details["mine/1500/wide/0"].startswith("the pages 0 to 39, counted from 0, must stay and take ")
    assert "expected pages from 1 to 3 of beyond" in details["mine/1500/beyond/0"]
    assert "aspect ratio" in details["thin/0"]


def test_questions_whose_evidence_does_not_fit_into_one_context_have_several(tmp_path):
    documents = [document("wide", 100, (99,), (1,), (5, 7), (), (50,), (9,))]
    found = examples_of(tmp_path, documents)
    assert (len(found.examples), found.skipped) == (6, ())
    for example in found.examples:
        numbers = [example.page_numbers[position] for position in example.evidence]
        assert str(tuple(numbers)) in example.question
    contexts = make_contexts(found.examples, "plain")
    assert [[ask.id[-1] for ask in context.asks] for context in contexts] == [["3", "1", "2"], ["5"], ["4"], ["0"]]


def test_a_context_that_the_pages_cannot_fill_is_not_of_that_length(tmp_path):
    documents = [document("short", 3, (1,)), document("other", 5)]
    full = examples_of(tmp_path, documents, lengths=[680]).examples
    assert len(full[0].pages) == 8
    found = examples_of(tmp_path, documents, lengths=[1500])
    assert not found.examples
    assert found.num_skipped == {"too few pages": 1}
    assert found.skipped[0].detail.startswith("all 8 pages together take ")


def test_a_copy_of_the_document_is_no_other_document(tmp_path):
    documents = [document("short", 3, (1,)), replace(document("copy", 3), key="key-short"), document("other", 60)]
    (example,) = examples_of(tmp_path, documents).examples
    assert set(example.labels) == {"short", "other"}


def test_errors_tell_what_was_found(tmp_path):
    with pytest.raises(ValueError, match="two documents are called 'a', expected another name for each"):
        examples_of(tmp_path, [document("a", 1), document("a", 2)])
    same = document("a", 1, (1,)).questions * 2
    with pytest.raises(ValueError, match="two questions are called 'a/0'"):
        examples_of(tmp_path, [replace(document("a", 1), questions=same)])
    with pytest.raises(ValueError, match=r"lengths is \[0\], expected numbers of tokens"):
        examples_of(tmp_path, lengths=[0])


MARKS = [mark for mark in tiny.processor().tokenizer.get_added_vocab() if mark.strip()]


@pytest.mark.parametrize("share_context", [True, False])
@pytest.mark.parametrize("mark", MARKS)
def test_a_question_with_a_control_token_is_left_out_alone(tmp_path, mark, share_context):
    plain = document("long", 40, (20,), (22,))
    questions = (replace(plain.questions[0], question=f"What is {mark}?"), plain.questions[1])
    found = examples_of(tmp_path, [replace(plain, questions=questions)], share_context=share_context)
    assert [example.id for example in found.examples] == ["mine/1500/long/1"]
    assert [(left.id, left.reason) for left in found.skipped] == [("mine/1500/long/0", "control_token")]
    assert f"What is {mark}?' holds {mark}" in found.skipped[0].detail


@pytest.mark.parametrize("mark", MARKS)
def test_a_document_whose_name_has_a_control_token_stands_in_no_context(tmp_path, mark):
    named = document(f"a{mark}", 40, (20,))
    found = examples_of(tmp_path, [document("short", 3, (2,)), named, document("other", 40)])
    assert {label for example in found.examples for label in example.labels} == {"short", "other"}
    assert [(left.id, left.reason) for left in found.skipped] == [
        (f"the document a{mark}", "control_token"),
        (f"a{mark}/0", "control_token"),
    ]
