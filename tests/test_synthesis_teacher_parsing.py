import json
import time

import pytest

from mmprolong_hf.synthesis.teacher.fields import ParseError
from mmprolong_hf.synthesis.teacher.parsing import MAX_REPLY, parse_reply, read_json
from mmprolong_hf.synthesis.teacher.prompting import write_reply
from mmprolong_hf.synthesis.teacher.raw_question import Quote, RawQuestion

QUESTIONS = [
    RawQuestion("In Table 4, how high is Kelby?", ("4.80",), "Float", (Quote(12, "Table", "Kelby 4.80"),), "Table 4"),
    RawQuestion(
        'Which soils does the section "Soils" name?', ("silt", "clay"), "List",
        (Quote(9, "Text", 'He said "silt" \\ and <b>clay</b> & \'more\''), Quote(10, "Figure", "泥 silt")),
        'the section "Soils"',
    ),
    RawQuestion("How many on page 9?", ("12",), "Integer", (Quote(9, "Text", "5 and 7"),), "page 9", "5 + 7"),
]  # fmt: skip
STYLES = ("json", "tagged")
TRACE = '<think>\nMaybe <questions><item>a draft</item></questions>? {"questions": []} No.\n</think>\n'


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "frame",
    ["{}", TRACE + "{}", TRACE.removeprefix("<think>") + "{}", "Sure! Here:\n```json\n{}\n```\nHope it helps."],
)
def test_both_styles_read_back_what_was_meant(style, frame):
    reply = frame.replace("{}", write_reply(QUESTIONS, style)) if "{}" in frame else frame
    assert parse_reply(reply, style) == QUESTIONS


@pytest.mark.parametrize("style", STYLES)
def test_no_question_is_an_answer(style):
    assert parse_reply(write_reply([], style), style) == []


@pytest.mark.parametrize("style", STYLES)
def test_a_bad_question_costs_only_itself(style):
    reply = write_reply(QUESTIONS, style).replace("4.80", "4.80 m", 2).replace("Kelby 4.80 m", "Kelby 4.80")
    bad, *good = parse_reply(reply, style)
    assert bad.reason == "not_a_number"
    assert good == QUESTIONS[1:]


@pytest.mark.parametrize("style", STYLES)
def test_if_no_question_can_be_used_the_reply_cannot(style):
    reply = write_reply(QUESTIONS[:1], style).replace("Float", "Metres")
    with pytest.raises(ParseError, match="bad_answer_format: found 'metres', expected one of String"):
        parse_reply(reply, style)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "not_json"),
        ("I cannot help with that.", "not_json"),
        ('{"questions": [', "not_json"),
        ('{"questions": [{"question": "Wha', "not_json"),
        ("[" * 100_000, "not_json"),
        ('{"a":' * 30_000, "not_json"),
        ("[]", "not_json"),
        ("{}", "no_questions"),
        ('{"questions": {}}', "no_questions"),
        ('{"questions": "none"}', "no_questions"),
        ('{"questions": [null]}', "not_an_object"),
        ('{"questions": [[]]}', "not_an_object"),
        ("<think>so many pages", "truncated"),
        ("x" * (MAX_REPLY + 1), "too_long"),
    ],
)
def test_json_that_cannot_be_read(reply, reason):
    with pytest.raises(ParseError, match=f"^{reason}: ") as caught:
        parse_reply(reply, "json")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no_questions"),
        ("There is nothing to ask.", "no_questions"),
        ("<questions>", "truncated"),
        ("<questions><item><question>Wha", "truncated"),
        ("<questions><item></item></questions>", "no_evidence"),
        ("<questions><item><evidence></item></questions>", "bad_source"),
        ("<think>so many pages <questions></questions>", "truncated"),
        ("x" * (MAX_REPLY + 1), "too_long"),
    ],
)
def test_tagged_text_that_cannot_be_read(reply, reason):
    with pytest.raises(ParseError, match=f"^{reason}: "):
        parse_reply(reply, "tagged")


def test_tagged_text_that_was_cut_keeps_its_whole_questions():
    reply = write_reply(QUESTIONS, "tagged")
    first, second, cut = parse_reply(reply[: reply.index("How many on page 9")], "tagged")
    assert [first, second] == QUESTIONS[:2]
    assert str(cut).startswith("truncated: ")
    *whole, cut = parse_reply(reply.removesuffix("</questions>"), "tagged")
    assert whole == QUESTIONS
    assert cut.reason == "truncated"


def test_optional_fields_may_be_left_out_of_tagged_text():
    reply = write_reply(QUESTIONS[2:], "tagged").replace("<anchor>page 9</anchor>\n", "")
    (question,) = parse_reply(reply.replace("<expression>5 + 7</expression>", ""), "tagged")
    assert (question.question, question.anchor, question.expression) == ("How many on page 9?", "", "")


def test_tags_inside_a_quote_do_not_become_fields():
    words = "write <question>Is it 7?</question> and <answer>7</answer>"
    reply = write_reply(QUESTIONS[2:], "tagged").replace("5 and 7", words)
    (question,) = parse_reply(reply, "tagged")
    assert (question.question, question.answer) == ("How many on page 9?", "12")
    assert question.quotes[0].text == words


@pytest.mark.parametrize(
    "piece", ["<item>", "<questions>", "<item><evidence>", "<evidence><page>", "</think>", "<question>"]
)
def test_a_flood_of_tags_takes_no_time(piece):
    flood = "<questions>" + piece * (MAX_REPLY // len(piece) - 10)
    started = time.process_time()
    with pytest.raises(ParseError):
        parse_reply(flood, "tagged")
    assert time.process_time() - started < 2


def test_numbers_stay_as_written():
    assert read_json('{"a": 12.50, "b": 1e400, "c": NaN, "d": ' + "9" * 5000 + "}") == {
        "a": "12.50", "b": "1e400", "c": "NaN", "d": "9" * 5000,
    }  # fmt: skip


def test_numbers_of_json_are_understood():
    record = QUESTIONS[0].to_record() | {"answer": 4.8}
    (question,) = parse_reply(json.dumps({"questions": [record]}), "json")
    assert question.answer == "4.8"


def test_a_style_is_one_of_two():
    with pytest.raises(ValueError, match="style is 'xml', expected one of json, tagged"):
        parse_reply("<questions/>", "xml")
