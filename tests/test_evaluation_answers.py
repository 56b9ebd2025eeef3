import json
import os

import pytest

from mmprolong_hf.evaluation.answers import AnswerFile, current_answers, read_lines, write_json, write_lines


def test_what_is_written_is_read_and_what_was_there_stays(tmp_path):
    path = tmp_path / "run" / "answers.jsonl"
    for text in ("first", "half a pair: \ud800, a break:\n, another:\u2028"):
        with AnswerFile(path) as file:
            file.write({"id": "a", "key": "1", "prediction": text})
    assert [record["prediction"] for record in read_lines(path)] == [
        "first",
        "half a pair: \ud800, a break:\n, another:\u2028",
    ]
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("torn", [b'{"id": "b', b'{"id": "b", "key": "1"}', b"\xe2\x82"])
def test_a_torn_last_line_is_dropped_and_cut_off(tmp_path, torn):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"id": "a", "key": "1"}\n' + torn)
    assert read_lines(path) == [{"id": "a", "key": "1"}]
    with AnswerFile(path) as file:
        file.write({"id": "c", "key": "1"})
    assert path.read_bytes() == b'{"id": "a", "key": "1"}\n{"id": "c", "key": "1"}\n'


def test_a_record_is_on_file_before_it_is_synced(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerFile(path) as file:
        file.write({"id": "a", "key": "1"})
        assert read_lines(path) == [{"id": "a", "key": "1"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "answers.jsonl, line 2 is no JSON: .*; remove the line, and the same command writes it again"),
        ("[" * 100_000, "answers.jsonl, line 2 is no JSON: .*; remove the line"),
        ("[1]", r"line 2 is \[1\], expected an object with a text in id and key; remove the line"),
        ('{"id": 2, "key": "1"}', "line 2 is .*, expected an object with a text in id and key"),
        ('{"id": "b"}', "line 2 is .*, expected an object with a text in id and key"),
        ('{"id": "b", "key": "1"' + ', "a": 1' * 99 + "]", "line 2 is no JSON"),
        ("[" + "1, " * 999 + "1]", r"line 2 is \[1, (1, )*1?,?\.\.\., expected"),
    ],
)
def test_a_broken_line_in_the_middle_is_an_error(tmp_path, line, message):
    path = tmp_path / "answers.jsonl"
    path.write_text(f'{{"id": "a", "key": "1"}}\n{line}\n{{"id": "b", "key": "1"}}\n')
    with pytest.raises(ValueError, match=message):
        read_lines(path)


def test_a_file_that_is_not_there_has_no_records(tmp_path):
    assert read_lines(tmp_path / "answers.jsonl") == []


def test_only_the_last_answer_to_the_present_words_counts():
    records = [{"id": "a", "key": "1", "n": 0}, {"id": "a", "key": "1", "n": 1}, {"id": "a", "key": "0", "n": 2}]
    assert current_answers([*records, {"id": "gone", "key": "1"}], {"a": "1", "b": "2"}) == {"a": records[1]}


def test_whole_files_leave_nothing_beside_them(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_lines(tmp_path / "b.jsonl", [{"id": "a", "key": "1"}, {"id": "b", "key": "1"}])
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 2, "b": 1}
    assert read_lines(tmp_path / "b.jsonl") == [{"id": "a", "key": "1"}, {"id": "b", "key": "1"}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.jsonl"]


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerFile(path) as file:
        file.write({"id": "a", "key": "1"})
        with pytest.raises(ValueError, match=f"another run is writing to {tmp_path}"), AnswerFile(path):
            pass
        file.write({"id": "b", "key": "1"})
    with AnswerFile(path):  # the lock goes with the run
        assert path.read_bytes() == b'{"id": "a", "key": "1"}\n{"id": "b", "key": "1"}\n'


def test_a_whole_file_is_on_the_disk_under_a_name_of_its_process_before_it_has_its_own(tmp_path, monkeypatch):
    path, synced = tmp_path / "a.json", []
    write_json(path, 1)
    monkeypatch.setattr(os, "fsync", lambda _: synced.append({p.name: p.read_text() for p in tmp_path.iterdir()}))
    write_json(path, 2)
    assert synced == [{"a.json": "1\n", f"a.json.{os.getpid()}.partial": "2\n"}]
    assert path.read_text() == "2\n"


def test_other_files_have_other_fields(tmp_path):
    write_lines(tmp_path / "verdicts.jsonl", [{"id": "a", "name": "J"}])
    assert read_lines(tmp_path / "verdicts.jsonl", ("id", "name")) == [{"id": "a", "name": "J"}]
    with pytest.raises(ValueError, match=r"verdicts.jsonl, line 1 is .* a text in id and judge"):
        read_lines(tmp_path / "verdicts.jsonl", ("id", "judge"))
