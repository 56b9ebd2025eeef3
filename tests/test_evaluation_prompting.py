"""evaluation/prompting.py: the words of each prompt (snapshots in tests/data/prompts), and what shares a context."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_evaluation_examples import EXAMPLE

from mmprolong_hf.evaluation.prompting import (
    PROMPT_VERSIONS,
    PROMPTS,
    asked_question,
    label_collisions,
    load_prompt,
    make_contexts,
)
from mmprolong_hf.evaluation.requests import PageImage

SNAPSHOTS = Path(__file__).parent / "data" / "prompts"


def example(id: str = "longdocurl/64K/1", question: str = "What costs $5 in $name?", **changes):
    about = {
        "id": id,
        "dataset": "longdocurl",
        "question": question,
        "doc_name": "report_of_the_year_2020",
        "pages": (PageImage(b"one"), PageImage(b"two"), PageImage(b"three")),
        "labels": ("4190345", "report_of_the_year_2020", "report_of_the_year_2020"),
        "page_numbers": (12, 1, 2),
    }
    return replace(EXAMPLE, **(about | changes))


def rendered(version: str, **changes) -> str:
    """The turn with "<image>" for each page, and what the answer begins with under a rule."""
    (context,) = make_contexts([example(**changes)], version)
    (ask,) = context.asks
    return "".join(part if isinstance(part, str) else "<image>" for part in [*context.parts, ask.text]) + (
        f"\n---\n{ask.answer_start}"
    )


@pytest.mark.parametrize("version", PROMPT_VERSIONS)
def test_snapshots(version):
    assert rendered(version) == (SNAPSHOTS / f"{version}.txt").read_text(encoding="utf-8")


def test_v1_1_is_what_vlmevalkit_writes_into_its_tsv():
    """The same words, put together from the description of upstream's templates instead of the file."""
    labels = ["4190345", "report_of_the_year_2020", "report_of_the_year_2020"]
    context = "\n\n".join(f"Document {label:.15}: <image>" for label in labels)
    question = "Based on Document report_of_the_y, answer the following question. What costs $5 in $name?"
    assert rendered("v1.1").startswith("You are given a document with text and images, and a question. ")
    assert rendered("v1.1").endswith(
        f"in the following format:\nAnswer: [answer]\n\n{context}\n\nQuestion: {question}\n---\nAnswer:"
    )
    assert asked_question(load_prompt("v1.1"), example()) == question


def test_v1_0_differs_in_page_numbers_alone():
    assert rendered("v1.0").replace(" (page 11)", "").replace(" (page 0)", "").replace(" (page 1)", "") == rendered(
        "v1.1"
    )
    assert "Document 4190345 (page 12): <image>" in rendered("v1.0", dataset="slidevqa")


def test_only_the_question_first_prompt_has_it_before_the_pages():
    before = {version: rendered(version).index("What costs") < rendered(version).index("<image>") for version in PROMPT_VERSIONS}  # fmt: skip
    assert before == {"v1.0": False, "v1.1": False, "plain": False, "question-first": True}


def test_every_prompt_has_a_file_with_a_note():
    assert {path.stem for path in PROMPTS.glob("*.md")} == set(PROMPT_VERSIONS)
    assert all(
        "MIT License" in (PROMPTS / f"{version}.md").read_text(encoding="utf-8") for version in ("v1.0", "v1.1")
    )
    assert all("<!--" not in rendered(version) for version in PROMPT_VERSIONS)


def test_equal_pages_and_labels_share_a_context():
    examples = [
        example("a"),
        example("b", labels=("4190345", "report_of_the_year_2020", "other")),
        example("c", question="Another?"),
        example("d", pages=(PageImage(b"one"), PageImage(b"two"), PageImage(b"3"))),
        example("e"),
    ]
    contexts = make_contexts(examples, "v1.1", max_new_tokens=64)
    assert [[ask.id for ask in context.asks] for context in contexts] == [["a", "c", "e"], ["b"], ["d"]]
    assert all(len(context.pages) == 3 and ask.max_new_tokens == 64 for context in contexts for ask in context.asks)
    # Page numbers do not show in version 1.1.
    assert len(make_contexts([example("a"), example("b", page_numbers=(13, 1, 2))], "v1.1")) == 1
    assert len(make_contexts([example("a"), example("b", page_numbers=(13, 1, 2))], "plain")) == 2
    assert len(make_contexts([example("a"), example("b", question="Another?")], "question-first")) == 2


def test_names_that_the_cut_makes_equal_are_reported():
    labels = ("report_of_the_year_2019", "report_of_the_year_2020", "report_of_the_year_2020")
    examples = [example("a", labels=labels), example("b", labels=labels), example("c")]
    (note,) = label_collisions(examples, "v1.1")
    assert note.startswith(
        "the documents report_of_the_year_2019, report_of_the_year_2020 have the same name in the prompt of 2 questions, "
        "the first of them a"
    )
    assert label_collisions(examples, "plain") == []


def test_errors_tell_what_was_found():
    with pytest.raises(ValueError, match=r"prompt_version is 'v2', expected one of v1\.0, v1\.1, plain"):
        make_contexts([example()], "v2")
    with pytest.raises(ValueError, match="longdocurl/64K/1 has no page"):
        make_contexts([example(pages=(), labels=(), page_numbers=(), evidence=())], "plain")
