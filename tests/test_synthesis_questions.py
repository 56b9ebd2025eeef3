"""Wording, and what may not be asked."""

from collections import Counter
from string import Formatter

import pytest

from mmprolong_hf import __version__
from mmprolong_hf.synthesis.questions import Absence, Evidence, choose, flaw, known_kinds, load_templates, pose
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE, TASKS

HEADING = Evidence(3, (0.1, 0.1, 0.4, 0.2), "7", "Layout")


def candidate(answer, **slots):
    return pose("section-title-on-page", answer, [HEADING], seed="0", segment=(1, 8), **{"page": 3, **slots})


@pytest.mark.parametrize("kind", known_kinds())
def test_every_kind_has_a_task_and_several_wordings_with_the_same_gaps(kind):
    template = load_templates()["kinds"][kind]
    assert template["task"] in TASKS
    assert len(set(template["wordings"])) == len(template["wordings"]) >= 2 or kind == "table-cells"
    gaps = [{name for _, name, _, _ in Formatter().parse(w) if name} for w in template["wordings"]]
    required = set.union(*gaps) - {"page"}
    assert all(required <= g for g in gaps), gaps
    assert all(template.get("anchor", "") in w for w in template["wordings"])


def test_a_question_carries_its_quotes_place_teacher_and_arithmetic():
    entries = [Evidence(2, (0.1, 0.1, 0.2, 0.2), "12.5", "Table"), Evidence(2, (0.1, 0.2, 0.2, 0.3), "7", "Table")]
    slots = {"table": "Table 3", "column": "Height"}
    posed = pose("table-sum", "19.5", entries, seed="0", segment=(1, 8), expression="12.5 + 7", **slots)
    assert posed.question.evidence_quotes == ("12.5", "7")
    assert posed.question.anchor == "Table 3"
    assert posed.question.expression == "12.5 + 7"
    assert posed.question.teacher == f"extractive@{__version__}"


def test_what_must_be_absent_stays_with_the_candidate():
    absent = [Absence("3.7")]
    posed = pose("title-of-number-absent", NOT_ANSWERABLE, [HEADING], seed="0", segment=(1, 8), absent=absent, number="section 3.7")  # fmt: skip
    assert posed.absent == (Absence("3.7", ()),)
    assert posed.question.anchor == ""
    assert candidate("A").absent == ()


def test_wordings_vary_between_facts_and_never_within_one():
    used = Counter(candidate("A", page=n).question.question.replace(str(n), "N") for n in range(1, 200))
    assert len(used) == len(load_templates()["kinds"]["section-title-on-page"]["wordings"])
    assert min(used.values()) > 20
    assert candidate("A") == candidate("A")


def test_choose_does_not_hang_on_the_order_of_calls():
    assert [choose("abc", k) for k in range(5)] == [choose("abc", k) for k in range(5)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Results and titles", None),
        ("3", None),  # the page's number is no hint at a title
        ("Title", "answer_in_question"),
        ("first", "answer_in_question"),
        ("", "answer_empty_or_long"),
        ("x" * 401, "answer_empty_or_long"),
        ("a \x02 b", "unreadable_characters"),
        ("10^6", "unreadable_characters"),
    ],
)
def test_flaws(answer, expected):
    page_three = pose("first-section-on-page", answer, [HEADING], seed="5", segment=(1, 8), page=3)
    assert flaw(page_three) == expected


def test_an_integer_may_not_stand_in_its_question():
    slots = {"kind": "figure", "first": 3, "last": 9}
    assert flaw(pose("count-labels", 3, [HEADING], seed="0", segment=(1, 9), **slots)) == "answer_in_question"
    assert flaw(pose("count-labels", 4, [HEADING], seed="0", segment=(1, 9), **slots)) is None


def test_a_list_whose_part_holds_the_separator_cannot_be_read_back():
    parts = pose("titles-on-pages", ["Fit; predict", "B"], [HEADING], seed="0", segment=(1, 8), page=3, other=4)
    assert flaw(parts) == "separator_in_answer"
