"""One PDF to one row."""

import hashlib
from collections import Counter

import pytest
from synthetic_pdf import built, report

from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, page_tokens
from mmprolong_hf.synthesis.document import build_document
from mmprolong_hf.synthesis.plan import folder_plan
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, VERDICTS


@pytest.fixture
def path(tmp_path):
    return report(tmp_path / "a.pdf")


def test_a_row_is_complete_and_repeats(path):
    written = built(path, pages__dpi=72)
    row = written.row
    assert (row["num_pages"], row["title"], row["source"], row["dpi"]) == (12, "A report", "a.pdf", 72)
    assert (row["doc_id"], row["language"]) == (hashlib.sha256(path.read_bytes()).hexdigest(), "en")
    assert row["page_sizes"] == [[612, 792]] * 12
    assert row["page_tokens"] == [page_tokens(612, 792, QWEN2_5_VL_LIMITS)] * 12
    assert len(row["images"]) == 12
    assert set(row) == set(DOCUMENT_FEATURES)
    assert row["pdf"] is None
    assert {q["task"] for q in row["questions"]} == {"extract-single", "extract-multi", "reasoning"}
    assert built(path, pages__dpi=72) == written
    assert built(path, pages__dpi=72, seed=1).row["questions"] != row["questions"]


def test_every_question_carries_its_verdicts_and_its_quotes(path):
    for question in built(path).row["questions"]:
        assert set(question["verdicts"]) == set(VERDICTS)
        assert "fail" not in question["verdicts"].values()
        assert question["verdicts"]["quotes_found"] == "pass"
        assert len(question["evidence_quotes"]) == len(question["evidence_boxes"]) > 0
        assert question["teacher"].startswith("extractive@")


def test_what_fails_a_check_is_kept_apart_with_the_reason(path):
    written = built(path)
    assert written.rejected
    for question in written.rejected:
        name, reason = question["reason"].split(": ")[:2]
        assert question["verdicts"][name] == "fail"
        assert written.dropped[reason] > 0
    lenient = built(path, verify__require=["quotes_found"])
    assert len(lenient.rejected) < len(written.rejected)
    assert "fail" in {v for q in lenient.row["questions"] for v in q["verdicts"].values()}


def test_so_many_of_a_task_are_kept_and_the_rest_counted(path):
    every = built(path, questions__per_task={"extract-single": 9999})
    few = built(path, questions__per_task={"extract-single": 5})
    assert len(few.row["questions"]) == 5
    assert few.dropped["more_than_per_task"] == len(every.row["questions"]) - 5
    assert built(path, questions__per_task={"reasoning": 1}).row["questions"][0]["task"] == "reasoning"


def test_transcriptions_are_asked_if_they_are_wanted(path):
    row = built(path, questions__per_task={"ocr-full": 1, "ocr-needle": 2}).row
    assert Counter(q["task"] for q in row["questions"]) == {"ocr-full": 1, "ocr-needle": 2}
    full = next(q for q in row["questions"] if q["task"] == "ocr-full")
    assert full["evidence_pages"] == list(range(1, 13))
    assert "Detail one of Topic two" in full["answer"]


def test_the_compact_form_holds_the_file(path):
    row = built(path, pages__store="pdf").row
    assert (row["pdf"], row["images"]) == (path.read_bytes(), [])
    assert row["page_sizes"] == built(path).row["page_sizes"]


def test_elements_are_in_reading_order(path):
    elements = built(path, pages__elements=True).elements
    assert [e["index"] for e in elements] == list(range(len(elements)))
    assert [e["page"] for e in elements] == sorted(e["page"] for e in elements)
    sections = [(e["text"], e["level"]) for e in elements if e["kind"] == "section"]
    assert sections[:2] == [("1 Topic one", 1), ("1.1 Detail one of Topic one", 2)]
    assert built(path).elements == []


def test_kinds_restrict_what_is_asked(path):
    row = built(path, questions__kinds=["section-distance", "label-page"]).row
    assert {q["template"] for q in row["questions"]} == {"section-distance", "label-page"}


def test_a_document_without_a_question_is_rejected(path):
    with pytest.raises(RejectedDocument, match="no_questions: of 0 possible questions none was certain"):
        built(path, questions__kinds=["heading-on-page"])


def test_a_file_that_is_not_the_scanned_one(path):
    plan = folder_plan("pdfs", {"output": "set"})
    item = {"source": "a.pdf", "doc_id": "0" * 64, "language": "en"}
    with pytest.raises(RejectedDocument, match="changed: it is not the file that was scanned"):
        build_document(path, item, plan)
    path.unlink()
    with pytest.raises(RejectedDocument, match="unreadable: the file cannot be read"):
        build_document(path, item, plan)
