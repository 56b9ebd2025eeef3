"""One PDF to one row."""

import pytest
from synthetic_pdf import report

from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, page_tokens
from mmprolong_hf.synthesis.document import BuildOptions, build_document
from mmprolong_hf.synthesis.rejected import RejectedDocument


def test_a_row_is_complete_and_repeats(tmp_path):
    path = report(tmp_path / "a.pdf")
    row, _ = build_document(path, "a.pdf", BuildOptions(dpi=72))
    assert (row["num_pages"], row["title"], row["source"], row["dpi"]) == (12, "A report", "a.pdf", 72)
    assert row["page_sizes"] == [[612, 792]] * 12
    assert row["page_tokens"] == [page_tokens(612, 792, QWEN2_5_VL_LIMITS)] * 12
    assert len(row["images"]) == 12
    assert len(row["questions"]) == 16
    assert {q["task"] for q in row["questions"]} == {"extract-single", "extract-multi", "reasoning"}
    assert build_document(path, "a.pdf", BuildOptions(dpi=72))[0] == row
    assert build_document(path, "a.pdf", BuildOptions(dpi=72, seed=1))[0]["questions"] != row["questions"]


def test_kinds_restrict_what_is_asked(tmp_path):
    row, _ = build_document(
        report(tmp_path / "a.pdf"), "a.pdf", BuildOptions(dpi=36, kinds=("table-sum", "label-page"))
    )
    assert {q["template"] for q in row["questions"]} == {"table-sum", "label-page"}


def test_a_document_without_a_question_is_rejected(tmp_path):
    with pytest.raises(RejectedDocument, match="no_questions: of 0 possible questions none was certain"):
        build_document(report(tmp_path / "a.pdf"), "a.pdf", BuildOptions(dpi=36, kinds=("heading-on-page",)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"questions_per_document": 0}, "questions_per_document is 0, expected at least 1"),
        ({"min_pages": 5, "max_pages": 4}, "max_pages is 4, expected at least min_pages=5"),
        ({"kinds": ("table-summ",)}, "unknown kind of question 'table-summ', expected some of section-page"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        BuildOptions(**options)
