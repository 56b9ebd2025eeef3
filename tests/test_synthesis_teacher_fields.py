import pytest

from mmprolong_hf.synthesis.teacher.fields import ParseError, excerpt, read_answer, read_pages, read_text


@pytest.mark.parametrize(
    ("written", "pages"),
    [
        ("12", (12,)),
        (" Page 12 ", (12,)),
        ("p. 7", (7,)),
        ("12-13", (12, 13)),
        ("12 – 14", (12, 13, 14)),
        ("3 to 5, 9", (3, 4, 5, 9)),
        ("Pages 20, 21 and 25", (20, 21, 25)),
        (["12", "page 14"], None),
        (["12", "14"], (12, 14)),
        (["12"], (12,)),
        ("0", None),
        ("-3", None),
        ("12.5", None),
        ("13-12", None),
        ("1-5000", None),
        ("12345678", None),
        ("Table 4 on page 12", None),
        ("xii", None),
        ("", None),
        ("1," * 600, None),
        (None, None),
        ([], None),
        ({"page": "1"}, None),
        (True, None),
    ],
)
def test_pages_in_the_words_of_models(written, pages):
    if pages is None:
        with pytest.raises(ParseError, match=r"bad_page: page is .*, expected the number of a page"):
            read_pages(written)
    else:
        assert read_pages(written) == pages


@pytest.mark.parametrize(
    ("answer", "named", "expected"),
    [
        ("North", "String", ("String", ("North",))),
        ("north\n station ", "str", ("String", ("north station",))),
        ("1,250", "Integer", ("Integer", ("1250",))),
        ("3.0", "int", ("Integer", ("3",))),
        ("+7", "INTEGER", ("Integer", ("7",))),
        ("−7", "count", ("Integer", ("-7",))),
        ("12.50", "Float", ("Float", ("12.50",))),
        ("1,204.5", "decimal", ("Float", ("1204.5",))),
        ("12", "float", ("Float", ("12",))),
        ("12", "number", ("Integer", ("12",))),
        ("12.5", "Number", ("Float", ("12.5",))),
        (["42"], "Integer", ("Integer", ("42",))),
        ("silt;clay ; gravel", "List", ("List", ("silt", "clay", "gravel"))),
        ("淤泥；黏土", "List", ("List", ("淤泥", "黏土"))),
        (["silt", "clay"], "array", ("List", ("silt", "clay"))),
    ],
)
def test_answers_in_one_form(answer, named, expected):
    assert read_answer({"answer": answer, "answer_format": named}) == expected


@pytest.mark.parametrize(
    ("answer", "named", "reason"),
    [
        ("twelve", "Integer", "not_a_number"),
        ("12 km", "Float", "not_a_number"),
        ("12.5 %", "Float", "not_a_number"),
        ("12.5", "Integer", "not_a_number"),
        ("1.2e5", "Float", "not_a_number"),
        ("12,5", "Float", "not_a_number"),
        ("٣", "Integer", "not_a_number"),
        ("NaN", "Float", "not_a_number"),
        ("silt, clay", "List", "not_a_list"),
        ("silt; ", "List", "not_a_list"),
        (["silt"], "List", "not_a_list"),
        ([], "List", "not_a_list"),
        (["silt; clay", "gravel"], "List", "separator_in_answer"),
        (["a", "b"], "String", "wrong_type"),
        ([], "String", "wrong_type"),
        ({"a": "b"}, "String", "wrong_type"),
        (True, "String", "wrong_type"),
        ([["a"], "b"], "List", "wrong_type"),
        ("", "String", "no_answer"),
        (None, "Integer", "no_answer"),
        ("yes", "Boolean", "bad_answer_format"),
        ("yes", "", "bad_answer_format"),
        ("yes", None, "bad_answer_format"),
        ("x" * 401, "String", "too_long"),
        ("; ".join("x" * 99 for _ in range(5)), "List", "too_long"),
    ],
)
def test_answers_that_cannot_be_used_say_why(answer, named, reason):
    with pytest.raises(ParseError, match=f"^{reason}: .*expected") as caught:
        read_answer({"answer": answer, "answer_format": named})
    assert caught.value.reason == reason
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "text",
    [
        "<|im_end|>",
        "now <|vision_start|><|image_pad|><|vision_end|>",
        "</s>",
        "<THINK>",
        "<image>",
        "[INST] go [/INST]",
    ],
)
def test_control_words_of_models_are_refused(text):
    with pytest.raises(ParseError, match=r"control_tokens: question holds '.*', expected no control word"):
        read_text({"question": f"What {text}?"}, "question")


def test_words_that_only_look_like_control_words_are_not():
    for text in ("a <b> tag", "x <| y |> z < 3", "</section>", "<images>", "the <s t> pair"):
        assert read_text({"question": text}, "question") == text


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\ue012", "a\x1b[31m"])
def test_unreadable_characters_are_refused_in_printable_words(text):
    with pytest.raises(ParseError, match="unreadable_characters: question is") as caught:
        read_text({"question": text}, "question")
    assert str(caught.value).isprintable()
    str(caught.value).encode()


def test_text_may_be_missing_only_where_it_may():
    assert read_text({"anchor": None}, "anchor") == ""
    with pytest.raises(ParseError, match="no_question: question is empty or missing, expected text"):
        read_text({"question": " \n"}, "question", required=True)
    with pytest.raises(ParseError, match=r"wrong_type: anchor is .*, expected text"):
        read_text({"anchor": ["Table 4"]}, "anchor")
    with pytest.raises(ParseError, match=r"too_long: .*1001 characters; expected at most 1000"):
        read_text({"anchor": "x" * 1001}, "anchor")


def test_an_excerpt_is_short_whatever_it_is_of():
    assert len(excerpt("\ud800" * 10_000_000)) < 1100
    assert excerpt({"a": [1] * 1000}).startswith("\"{'a': [1, 1")
