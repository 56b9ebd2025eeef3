import json

import pytest

from mmprolong_hf.evaluation.answers import AnswerFile, current_answers, read_lines, write_json, write_lines


def test_what_is_written_is_read_and_what_was_there_stays(tmp_path):
    path = tmp_path / "run" / "answers.jsonl"
    for text in ("first", "half a pair: \ud800, a break:\n, another:\u2028"):
        with AnswerFile(path) as file:
            file.write({"prediction": text})
    assert [record["prediction"] for record in read_lines(path)] == [
        "first",
        "half a pair: \ud800, a break:\n, another:\u2028",
    ]
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("torn", [b'{"id": "b', b'{"id": "b"}', b"\xe2\x82"])
def test_a_torn_last_line_is_dropped_and_cut_off(tmp_path, torn):
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + torn)
    assert read_lines(path) == [{"id": "a"}]
    with AnswerFile(path) as file:
        file.write({"id": "c"})
    assert path.read_bytes() == b'{"id": "a"}\n{"id": "c"}\n'


def test_a_record_is_on_file_before_it_is_synced(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerFile(path) as file:
        file.write({"id": "a"})
        assert read_lines(path) == [{"id": "a"}]


@pytest.mark.parametrize(
    ("line", "message"), [("{", "line 2 is no JSON"), ("[1]", r"line 2 is \[1\], expected an object")]
)
def test_a_broken_line_in_the_middle_is_an_error(tmp_path, line, message):
    path = tmp_path / "answers.jsonl"
    path.write_text(f'{{"id": "a"}}\n{line}\n{{"id": "b"}}\n')
    with pytest.raises(ValueError, match=message):
        read_lines(path)


def test_a_file_that_is_not_there_has_no_records(tmp_path):
    assert read_lines(tmp_path / "answers.jsonl") == []


def test_only_the_last_answer_to_the_present_words_counts():
    records = [{"id": "a", "key": "1", "n": 0}, {"id": "a", "key": "1", "n": 1}, {"id": "a", "key": "0", "n": 2}]
    assert current_answers([*records, {"id": "gone", "key": "1"}], {"a": "1", "b": "2"}) == {"a": records[1]}


def test_whole_files_leave_nothing_beside_them(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_lines(tmp_path / "b.jsonl", [{"id": "a"}, {"id": "b"}])
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 2, "b": 1}
    assert read_lines(tmp_path / "b.jsonl") == [{"id": "a"}, {"id": "b"}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.jsonl"]
