"""kept_answers.py: what is on file is not asked again, what does not belong to the question is not taken for its answer."""

import json

import pytest
from scripted_engine import ScriptedEngine, context

from mmprolong_hf.evaluation.kept_answers import keep_answers

SCRIPT = {f"{c}/{k}": f" {c}{k}" for c in range(3) for k in range(2)}


def ask(path, contexts, script=SCRIPT, name="scripted"):
    """What was asked, and what came back."""
    engine = ScriptedEngine(script, name=name)
    with keep_answers(engine, path) as keeping:
        answers = {answer.id: answer for each in contexts for answer in keeping.answer(each)}
    return engine.asked, answers


def test_a_second_run_gets_the_same_answers_and_asks_only_what_is_new(tmp_path):
    path = tmp_path / "new" / "answers.jsonl"
    asked, first = ask(path, [context(0), context(1, num_asks=1)])
    assert asked == ["0/0", "0/1", "1/0"]
    asked, second = ask(path, [context(0), context(1), context(2)])
    assert asked == ["1/1", "2/0", "2/1"]
    assert {id: answer.text for id, answer in second.items()} == SCRIPT
    assert {id: second[id] for id in first} == first
    assert ask(path, [context(0), context(1), context(2)]) == ([], second)


def test_an_answer_is_on_file_before_the_next_is_asked_for(tmp_path):
    path = tmp_path / "answers.jsonl"
    engine = ScriptedEngine(SCRIPT)
    with keep_answers(engine, path) as keeping:
        for number, _ in enumerate(keeping.answer(context(0)), start=1):
            assert len(engine.asked) == number
            assert len(path.read_bytes().splitlines()) == number


def test_a_torn_line_is_asked_again(tmp_path):
    path = tmp_path / "answers.jsonl"
    ask(path, [context(0)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert ask(path, [context(0)])[0] == ["0/1"]
    assert path.read_bytes() == whole


def test_what_failed_is_asked_again_and_then_kept(tmp_path):
    path = tmp_path / "answers.jsonl"
    _, answers = ask(path, [context(0)], SCRIPT | {"0/1": "error: out of memory"})
    assert answers["0/1"].error == "out of memory"
    asked, answers = ask(path, [context(0)])
    assert (asked, answers["0/1"].text, answers["0/1"].error) == (["0/1"], " 01", None)
    assert ask(path, [context(0)])[0] == []


def test_answers_to_other_words_pages_or_lengths_are_passed_over_and_stay(tmp_path):
    path = tmp_path / "answers.jsonl"
    ask(path, [context(0)])
    before = path.read_bytes()
    assert ask(path, [context(0, text="How?")])[0] == ["0/0", "0/1"]
    assert path.read_bytes().startswith(before)
    assert ask(path, [context(0)])[0] == []


def test_answers_of_another_engine_are_refused_and_stay(tmp_path):
    path = tmp_path / "answers.jsonl"
    ask(path, [context(0)])
    before = path.read_bytes()
    message = (
        "answers.jsonl holds answers of 'scripted', but this run's engine is 'other': name another output folder, or"
    )
    with pytest.raises(ValueError, match=message):
        ask(path, [context(1)], name="other")
    assert path.read_bytes() == before
    assert ask(path, [context(0)])[0] == [], "the refusal left the file locked or changed"


def test_a_line_without_its_engine_is_an_error(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": "0/0", "key": "1", "text": "yes"}) + "\n")
    with pytest.raises(
        ValueError, match=r"line 1 is .*, expected an object with a text in id and key and engine and text"
    ):
        ask(path, [context(0)])


def test_two_runs_do_not_share_a_file(tmp_path):
    path = tmp_path / "answers.jsonl"
    with (
        keep_answers(ScriptedEngine(SCRIPT), path),
        pytest.raises(ValueError, match=f"another run is writing to {tmp_path}"),
    ):
        ask(path, [context(0)])
