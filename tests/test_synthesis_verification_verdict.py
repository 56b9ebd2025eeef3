"""Outcomes of checks, and which of them reject a question."""

import pytest

from mmprolong_hf.synthesis.schema import VERDICTS
from mmprolong_hf.synthesis.verification.verdict import PASS, Verdict, failed


@pytest.mark.parametrize("arguments", [("fail",), ("unchecked", ""), ("pass", "no_anchor")])
def test_a_reason_is_given_unless_it_passed(arguments):
    with pytest.raises(ValueError, match="expected one unless it is 'pass'"):
        Verdict(*arguments)


def test_only_a_required_check_that_failed_rejects():
    bad, open_ = Verdict("fail", "no_anchor"), Verdict("unchecked", "http_500")
    verdicts = {"evidence_inside": PASS, "anchor_unique": bad, "closed_book": open_}
    assert failed(verdicts, VERDICTS) == "anchor_unique"
    assert failed(verdicts, ("evidence_inside", "closed_book", "single_page")) is None
    assert failed(verdicts, ()) is None


def test_the_first_required_one_is_named():
    verdicts = {name: Verdict("fail", "x") for name in VERDICTS}
    assert failed(verdicts, ("wording", "evidence_inside")) == "wording"
