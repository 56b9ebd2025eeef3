"""The extractive teacher as a whole, over documents with known contents and over real ones."""

import ast
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from synthetic_pdf import report

from mmprolong_hf import __version__
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.questions import ABSENT, known_kinds
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE, VERDICTS
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.verification import DocumentText, check, failed, read_second

DOCUMENTS = Path(__file__).resolve().parents[2] / "shared" / "documents"
SHORT = ("zoo.pdf", "monitoringCounts.pdf", "essay.pdf")


def ask_of(path, **options):
    source = read_pdf(path)
    return ask(build_structure(source), seed="0", lines=[page.lines for page in source.pages], **options)


def verified(path):
    source = read_pdf(path, images=False)
    text = DocumentText(source.pages, read_second(path), build_structure(source))
    found = ask(text.structure, seed="0", lines=[page.lines for page in source.pages])
    return [c for c in found if not failed(check(c, text), VERDICTS)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return report(tmp_path_factory.mktemp("pdf") / "a.pdf")


@pytest.fixture(scope="module")
def asked(path):
    return ask_of(path)


def value(expression: str) -> float:
    """Sums, differences and maxima, by a reader of its own."""
    tree = ast.parse(expression, mode="eval").body
    if isinstance(tree, ast.Call):
        return max(ast.literal_eval(argument) for argument in tree.args)
    return sum(_terms(tree, 1))


def _terms(node: ast.expr, sign: int) -> list[float]:
    if isinstance(node, ast.BinOp):
        right = sign if isinstance(node.op, ast.Add) else -sign
        return _terms(node.left, sign) + _terms(node.right, right)
    return [sign * ast.literal_eval(node)]


def test_every_expression_is_the_answer(asked):
    found = [c.question for c in asked if c.question.expression]
    assert {"table-sum", "table-difference", "section-distance", "label-distance", "table-larger-entry"} <= {
        q.template for q in found
    }
    for question in found:
        assert value(question.expression) == pytest.approx(float(question.answer), abs=1e-9)


def test_quotes_anchors_and_the_teacher(asked):
    for candidate in asked:
        question = candidate.question
        assert len(question.evidence_quotes) == len(question.evidence_boxes)
        assert question.anchor.casefold() in question.question.casefold()
        assert question.teacher == f"extractive@{__version__}"
        assert question.template in known_kinds()
        assert question.template.endswith(ABSENT) == (question.answer == NOT_ANSWERABLE)
        assert candidate.absent or question.answer != NOT_ANSWERABLE


def test_kinds_limit_what_is_asked(path):
    found = ask_of(path, kinds=("table-larger-entry", "earlier-label"))
    assert {c.question.template for c in found} == {"table-larger-entry", "earlier-label"}


def test_no_question_twice(asked):
    assert max(Counter(c.question.question for c in asked).values()) == 1


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the real PDFs are not in this checkout")
def test_real_documents_yield_enough_over_their_whole_depth():
    counts, kinds = [], Counter()
    for name in SHORT:
        confirmed = verified(DOCUMENTS / name)
        last = max(c.question.evidence_pages[-1] for c in confirmed)
        tenths = {(c.question.evidence_pages[0] - 1) * 10 // last for c in confirmed}
        counts.append(len(confirmed))
        kinds.update(c.question.template for c in confirmed)
        assert len(tenths) >= 9, f"{name}: evidence only in the tenths {sorted(tenths)}"
    assert median(counts) >= 40
    assert {"sentence-gaps", "sentence-name", "name-pages", "section-of-sentence"} <= set(kinds)
