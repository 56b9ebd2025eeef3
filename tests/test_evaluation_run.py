import pytest
from scripted_engine import ScriptedEngine, context

from mmprolong_hf.evaluation.answers import AnswerFile, read_lines
from mmprolong_hf.evaluation.run import question_keys, run_contexts

SCRIPT = {f"{c}/{k}": f" {c}{k}" for c in range(3) for k in range(2)}


def contexts(**changes):
    return [context(number, **changes) for number in range(3)]


def test_every_question_has_its_record(tmp_path):
    summary = run_contexts(contexts(), ScriptedEngine(SCRIPT), tmp_path, {"1/0": {"dataset": "mine", "answer": "10"}})
    records = {record["id"]: record for record in read_lines(tmp_path / "answers.jsonl")}
    assert {id: record["prediction"] for id, record in records.items()} == SCRIPT
    record = records["1/0"]
    assert (record["dataset"], record["answer"], record["engine"]) == ("mine", "10", "scripted")
    assert (record["prompt_tokens"], record["prefilled_tokens"], record["largest_position"]) == (100, 20, 50)
    assert record["page_hashes"] == [page.sha256 for page in contexts()[1].pages]
    assert record["key"] == contexts()[1].key(contexts()[1].asks[0])
    assert str(summary) == (
        "6 questions, 0 of them answered before, 0 failed; 120 of 600 prompt tokens computed (5.0 times fewer); 0 s"
    )


def test_only_what_is_missing_is_asked(tmp_path):
    run_contexts(contexts()[:2], ScriptedEngine(SCRIPT), tmp_path)
    engine = ScriptedEngine(SCRIPT)
    summary = run_contexts(contexts(), engine, tmp_path)
    assert engine.asked == ["2/0", "2/1"]
    assert (summary.num_questions, summary.num_kept) == (6, 4)
    again = ScriptedEngine(SCRIPT)
    run_contexts(contexts(), again, tmp_path)
    assert again.asked == []


def test_other_words_or_pages_are_asked_again(tmp_path):
    run_contexts(contexts(), ScriptedEngine(SCRIPT), tmp_path)
    engine = ScriptedEngine(SCRIPT)
    run_contexts([context(0), context(1, text="How?")], engine, tmp_path)
    assert engine.asked == ["1/0", "1/1"]


def test_failures_are_kept_counted_and_asked_again_only_on_request(tmp_path):
    broken = {**SCRIPT, "0/0": "error: out of memory"}
    del broken["0/1"]
    summary = run_contexts(contexts(), ScriptedEngine(broken), tmp_path)
    assert summary.num_failed == 2
    assert "2 failed; " in str(summary)
    assert "; `--set retry_failed=true` asks the failed ones again; 0 s" in str(summary)
    errors = {record["id"]: record["error"] for record in read_lines(tmp_path / "answers.jsonl")}
    assert (errors["0/0"], errors["0/1"], errors["1/0"]) == ("out of memory", "the engine gave no answer", None)
    engine = ScriptedEngine(SCRIPT)
    assert run_contexts(contexts(), engine, tmp_path).num_failed == 2
    assert engine.asked == []
    assert run_contexts(contexts(), engine, tmp_path, retry_failed=True).num_failed == 0
    assert engine.asked == ["0/0", "0/1"]


def test_answers_of_another_engine_are_not_mixed(tmp_path):
    run_contexts(contexts(), ScriptedEngine(SCRIPT), tmp_path)
    with pytest.raises(
        ValueError, match="answers of 'scripted', but this run's engine is 'other': name another output"
    ):
        run_contexts(contexts(), ScriptedEngine(SCRIPT, name="other"), tmp_path)


def test_a_second_run_in_a_folder_asks_nothing(tmp_path):
    engine = ScriptedEngine(SCRIPT)
    with (
        AnswerFile(tmp_path / "answers.jsonl"),
        pytest.raises(ValueError, match=f"another run is writing to {tmp_path}"),
    ):
        run_contexts(contexts(), engine, tmp_path)
    assert engine.asked == []


def test_an_engine_that_answers_what_was_not_asked_is_an_error(tmp_path):
    class Wrong(ScriptedEngine):
        def answer(self, context):
            yield from super().answer(context)
            yield from super().answer(context)

    with pytest.raises(ValueError, match="scripted answers '0/0', which was not asked or has its answer already"):
        run_contexts(contexts(), Wrong(SCRIPT), tmp_path)


def test_an_id_stands_for_one_question():
    with pytest.raises(ValueError, match="two questions have the id '0/0'"):
        question_keys([context(0), context(0, text="How?")])
