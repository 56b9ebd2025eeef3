"""What a set is mixed of, and which questions of a document are kept."""

from collections import Counter

import pytest

from mmprolong_hf.synthesis.mixture import MixtureOptions, choose_questions, depth_of, draw_order
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


def test_any_beginning_of_the_order_is_a_mixture_and_all_are_drawn():
    rows = [(task, k % 10, f"kind{k % 3}") for task in ("extract-single", "reasoning") for k in range(30)]
    order = list(draw_order(rows, {"extract-single": 0.8, "reasoning": 0.2}))
    assert sorted(order) == list(range(60))
    assert Counter(rows[row][0] for row in order[:20]) == {"extract-single": 16, "reasoning": 4}
    assert {rows[row][1] for row in order[:10]} == set(range(10))


def test_other_documents_have_a_say_only_where_the_document_has_none():
    rows = [("reasoning", 0, "a"), ("reasoning", 0, "a"), ("reasoning", 9, "a")]
    others = {("reasoning", 0): Counter({0: 5}), ("reasoning", 1): Counter({0: 5}), ("reasoning", 2): Counter()}
    assert list(draw_order(rows, {"reasoning": 1.0})) == [0, 2, 1]
    assert list(draw_order(rows, {"reasoning": 1.0}, others)) == [2, 0, 1]
    assert others["reasoning", 0] == {0: 5, 9: 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"reasoning": 0.8}}, r"shares add up to 0\.8, expected 1"),
        ({"shares": {"reading": 1.0}}, "shares name the task 'reading', expected some of extract-single"),
        ({"shares": {"reasoning": 1.5, "ocr-full": -0.5}}, r"shares give 'reasoning' the share 1\.5, expected 0 to 1"),
        ({"share_unit": "pages"}, "share_unit is 'pages', expected one of samples, tokens"),
        ({"processor": "llava"}, "processor is 'llava', expected one of qwen2_5_vl, qwen3_vl"),
        ({"lengths": {"32K-64K": 0.5}}, r"lengths add up to 0\.5"),
        ({"lengths": {"short": 1.0}}, "lengths name the range 'short', expected tokens such as 32K-64K"),
        ({"lengths": {"64K-32K": 1.0}}, "lengths name the range '64K-32K', which is empty"),
        ({"lengths": {"0-40K": 0.5, "32K-64K": 0.5}}, "lengths name ranges that overlap: 0-40K and 32K-64K"),
        ({"questions_per_document": 0}, "questions_per_document is 0, expected at least 1"),
        ({"token_budget": 0}, "token_budget is 0, expected at least 1"),
        ({"min_tokens": 10, "max_tokens": 9}, "max_tokens is 9, expected at least min_tokens=10"),
        ({"min_pages": 10, "max_pages": 9}, "max_pages is 9, expected at least min_pages=10"),
        ({"unanswerable_share": -0.1}, r"unanswerable_share is -0\.1, expected 0 to 1"),
        ({"unanswerable_share": 1.0}, r"unanswerable_share is 1\.0, expected less"),
        ({"short_share": 0.4}, "expected both or neither"),
        ({"short_datasets": {"llava": []}}, "expected both or neither"),
        ({"short_share": 1.0, "short_datasets": {"llava": []}}, "short_share is 1 without a token_budget"),
    ],
)
def test_an_option_that_cannot_be_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        MixtureOptions(**options)


def test_short_tokens_are_the_counterpart_of_the_long_ones():
    short = {"short_datasets": {"llava": []}}
    assert MixtureOptions(short_share=0.4, **short).short_budget(600) == 400
    options = MixtureOptions(short_share=0.4, token_budget=1000, **short)
    assert (options.long_budget, options.short_budget(599)) == (600, 400)
    assert MixtureOptions().long_budget is None
    assert MixtureOptions().short_budget(600) == 0
