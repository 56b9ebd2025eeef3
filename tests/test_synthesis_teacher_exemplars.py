import pytest
import yaml

from mmprolong_hf.synthesis.teacher.calls import ASKED_TASKS
from mmprolong_hf.synthesis.teacher.exemplars import EXEMPLARS, SHOWN, load_exemplars
from mmprolong_hf.synthesis.text import fold
from mmprolong_hf.synthesis.verification.expression import equals_printed, evaluate

OURS = load_exemplars()


def ours():
    return yaml.load(EXEMPLARS.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def write(tmp_path, value):
    path = tmp_path / "mine.yaml"
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value), encoding="utf-8")
    return path


@pytest.mark.parametrize("task", ASKED_TASKS)
def test_our_examples_keep_the_rules_that_they_show(task):
    for exemplar in OURS.by_task[task]:
        question = exemplar.question
        printed = fold(" ".join(q.text for q in question.quotes))
        assert all(len(q.text) <= 200 for q in question.quotes)
        assert not any(fold(part) in fold(question.question) for part in question.parts)
        if question.expression:
            assert equals_printed(evaluate(question.expression), question.answer), question
        else:
            assert all(fold(part) in printed for part in question.parts), question


def test_our_examples_show_every_format_and_source():
    questions = [e.question for task in ASKED_TASKS for e in OURS.by_task[task]]
    assert {q.answer_format for q in questions} == {"String", "Integer", "Float", "List"}
    assert {quote.source for q in questions for quote in q.quotes} >= {"Text", "Table", "Figure"}


def test_the_seed_draws_them():
    drawn = {seed: OURS.draw("reasoning", str(seed)) for seed in range(20)}
    assert all(len(set(map(id, two))) == SHOWN for two in drawn.values())
    assert len({tuple(e.first for e in two) for two in drawn.values()}) > 5
    assert load_exemplars().draw("reasoning", "7") == drawn[7]


def test_a_file_of_ones_own_takes_their_place(tmp_path):
    mine = ours()
    for records in mine.values():
        for record in records:
            record["question"] += " (mine)"
    loaded = load_exemplars(write(tmp_path, mine))
    assert all(e.question.question.endswith("(mine)") for task in ASKED_TASKS for e in loaded.by_task[task])
    assert loaded.text != OURS.text


def broken(task, index, **change):
    value = ours()
    value[task][index] |= change
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a: [", r"the exemplars in .*mine.yaml cannot be read"),
        ("", r"mine.yaml holds no tasks, expected exactly the tasks extract-single, extract-multi, reasoning"),
        ({"extract-single": []}, r"holds extract-single, expected exactly the tasks"),
        (ours() | {"ocr-full": []}, r"holds .*ocr-full.*, expected exactly the tasks"),
        (ours() | {"reasoning": ours()["reasoning"][:1]}, "has 1 examples of reasoning, expected a list of at least 2"),
        (ours() | {"reasoning": "none"}, "has 0 examples of reasoning"),
        (ours() | {"reasoning": ["a", "b"]}, "example 1 of reasoning cannot be used: not_an_object"),
        (broken("reasoning", 0, expression=""), "example 1 of reasoning cannot be used: no_expression"),
        (broken("extract-multi", 1, evidence=[]), "example 2 of extract-multi cannot be used: no_evidence"),
        (broken("extract-single", 1, answer_format="Date"), "example 2 of extract-single cannot be used: bad_answer_format"),
        (broken("extract-single", 0, last="36"), "cannot be used: page_outside_segment"),
        (broken("extract-single", 0, first="thirty"), "example 1 of extract-single cannot be used: bad_page: page is 'thirty'"),
        (broken("extract-single", 0, num_pages=""), "example 1 of extract-single cannot be used: bad_page"),
        (broken("extract-single", 0, num_pages="39"), "it shows pages 31 to 40 of 39, expected pages in order"),
        (broken("extract-single", 0, anchor="Table 6"), "has the anchor 'Table 6', expected words of its question"),
        (broken("extract-single", 0, anchor=""), "has the anchor '', expected words of its question"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_why(tmp_path, value, problem):
    with pytest.raises(ValueError, match=problem):
        load_exemplars(write(tmp_path, value))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.yaml cannot be read .*expected a YAML file"):
        load_exemplars(tmp_path / "none.yaml")
