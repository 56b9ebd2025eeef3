"""The second engine."""

from dataclasses import replace

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.confirm import confirm
from mmprolong_hf.synthesis.questions import Evidence, pose
from mmprolong_hf.synthesis.rejected import RejectedDocument


def candidate(text, page=1):
    evidence = [Evidence(page, (0.1, 0.1, 0.4, 0.2), text, "Layout")]
    return pose("title-of-number", "Topic one", evidence, seed="0", segment=(1, 8), number="section 1")


def test_evidence_must_be_on_its_page_for_both_engines(tmp_path):
    path = report(tmp_path / "a.pdf")
    seen, other_page, unseen = candidate("Topic one"), candidate("Topic one", page=4), candidate("Topic nine")
    kept, dropped = confirm(path, [seen, other_page, unseen])
    assert kept == [seen]
    assert dropped == {"not_confirmed": 2}
    half = replace(seen, evidence=(*seen.evidence, Evidence(1, (0, 0, 1, 1), "not printed", "Text")))
    assert confirm(path, [half])[0] == []


def test_a_file_that_only_one_engine_opens_is_rejected(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 nothing more")
    with pytest.raises(RejectedDocument, match="unreadable: a second engine cannot open it"):
        confirm(tmp_path / "a.pdf", [candidate("x")])
