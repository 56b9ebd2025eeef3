import json

from mmprolong_hf.doctor.findings import NOTE, WRONG, Finding, Part, show, show_json, summarize

PART = Part(
    "Speed", [Finding("tokens", "9 a second"), Finding("wait", "a " * 80, NOTE), Finding("loss", "nan", WRONG)]
)


def test_long_text_is_wrapped_under_itself():
    lines = show(PART, width=60).splitlines()
    assert lines[:2] == ["== Speed ==", "       tokens  9 a second"]
    assert lines[2].startswith("note   wait    a a")
    assert all(line.startswith(" " * 15 + "a") for line in lines[3:-1])
    assert max(map(len, lines)) <= 60
    assert lines[-1] == "WRONG  loss    nan"


def test_tables_keep_their_blanks():
    table = Part("Positions", [Finding("rows", "     a    b\none  1    2")])
    assert show(table).splitlines()[1:] == ["       rows       a    b", "             one  1    2"]


def test_what_is_wrong_is_said_once_more():
    assert PART.is_wrong
    assert summarize([PART]) == "1 wrong\nSpeed, loss: nan"
    healthy = Part("Speed", PART.findings[:2])
    assert not healthy.is_wrong
    assert summarize([healthy]) == "nothing is wrong"


def test_json_holds_every_finding():
    assert json.loads(show_json(PART))["findings"][2] == {"what": "loss", "text": "nan", "state": "wrong"}
