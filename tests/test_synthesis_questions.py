"""Wording, and what may not be asked."""

from collections import Counter
from string import Formatter

import pytest

from mmprolong_hf import __version__
from mmprolong_hf.synthesis.questions import Absence, Evidence, choose, known_kinds, load_templates, pose
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
    used = Counter(candidate("A", page=n).question.question.replace(str(n), "N") for n in range(2, 200))
    assert len(used) == len(load_templates()["kinds"]["section-title-on-page"]["wordings"])
    assert min(used.values()) > 20
    assert candidate("A") == candidate("A")


def test_choose_does_not_hang_on_the_order_of_calls():
    assert [choose("abc", k) for k in range(5)] == [choose("abc", k) for k in range(5)]
