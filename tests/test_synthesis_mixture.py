"""Which questions are kept."""

from collections import Counter

from mmprolong_hf.synthesis.mixture import choose_questions, depth_of
from mmprolong_hf.synthesis.questions import Candidate
from mmprolong_hf.synthesis.schema import Question


def candidates(task, count, *, kind="kind", pages=100):
    return [
        Candidate(
            Question(f"{task} {kind} {k}?", str(k), task, "String", (1 + k % pages,), ("Text",), template=kind), (), ()
        )
        for k in range(count)
    ]


def test_tasks_get_their_shares():
    pool = [c for task in ("extract-single", "extract-multi", "reasoning") for c in candidates(task, 200)]
    chosen = choose_questions(pool, 50, 100, seed="s")
    assert Counter(c.question.task for c in chosen) == {"extract-single": 20, "extract-multi": 20, "reasoning": 10}


def test_what_a_task_cannot_fill_goes_to_the_others():
    pool = candidates("extract-single", 200) + candidates("extract-multi", 3)
    chosen = choose_questions(pool, 20, 100, seed="s")
    assert Counter(c.question.task for c in chosen) == {"extract-single": 17, "extract-multi": 3}


def test_kinds_and_depths_are_used_evenly():
    pool = candidates("extract-single", 300, kind="many") + candidates("extract-single", 10, kind="few")
    chosen = choose_questions(pool, 40, 100, seed="s")
    assert 4 <= sum(c.question.template == "few" for c in chosen) <= 10  # all of them are in the first tenth
    depths = Counter(depth_of(c.question.evidence_pages[0], 100) for c in chosen)
    assert len(depths) == 10
    assert max(depths.values()) <= 8


def test_the_order_of_the_candidates_decides_nothing_and_the_seed_does():
    pool = candidates("extract-single", 100)
    assert choose_questions(pool, 10, 100, seed="s") == choose_questions(pool[::-1], 10, 100, seed="s")
    assert choose_questions(pool, 10, 100, seed="s") != choose_questions(pool, 10, 100, seed="t")
