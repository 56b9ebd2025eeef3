"""What is sent, and what names it."""

import base64
import dataclasses
import io
import json

import pytest
from PIL import Image

from mmprolong_hf.lengths import page_tokens
from mmprolong_hf.synthesis.endpoint import EndpointOptions, Request

OPTIONS = EndpointOptions("m", base_url="http://localhost:1/v1")
SCHEMA = {"type": "object", "properties": {"answer": {"type": ["string", "null"], "enum": ["a", None]}}}


def page(colour="white", format="JPEG", size=(1224, 1584)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize(("format", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_images_are_sent_byte_for_byte_under_their_own_type(format, mime):
    image = page(format=format, size=(40, 40))
    url = Request("p@1", ("Page 1:", image), None).body(OPTIONS)["messages"][0]["content"][1]["image_url"]["url"]
    head, _, data = url.partition(",")
    assert head == f"data:{mime};base64"
    assert base64.b64decode(data) == image


def test_wrong_content_is_named():
    with pytest.raises(ValueError, match="expected a JPEG, PNG or WebP file"):
        Request("p@1", (b"%PDF-1.7",), None)
    with pytest.raises(ValueError, match="content of the request p@1 is empty"):
        Request("p@1", (), None)


def test_a_schema_is_sent_strictly_and_only_in_the_json_style():
    request = Request("p@1", ("q",), SCHEMA, system="be exact")
    body = request.body(OPTIONS)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
    }
    assert body["messages"][0] == {"role": "system", "content": "be exact"}
    tagged = dataclasses.replace(OPTIONS, style="tagged")
    assert "response_format" not in request.body(tagged)
    assert request.key(tagged) == Request("p@1", ("q",), None, system="be exact").key(tagged)


def test_whatever_changes_the_reply_changes_the_key():
    one, other = page("white"), page("red")
    request = Request("p@1", ("Page 1:", one, "q"), SCHEMA, system="s")
    changed = [
        dataclasses.replace(request, prompt="p@2"),
        dataclasses.replace(request, content=("Page 1:", other, "q")),
        dataclasses.replace(request, content=(one, "Page 1:", "q")),
        dataclasses.replace(request, content=("Page 1:", one, "r")),
        dataclasses.replace(request, content=("Page 1:", one)),
        dataclasses.replace(request, schema=None),
        dataclasses.replace(request, schema=SCHEMA | {"title": "t"}),
        dataclasses.replace(request, schema=dict(reversed(SCHEMA.items()))),
        dataclasses.replace(request, system=""),
    ]
    options = [
        dataclasses.replace(OPTIONS, model="n"),
        dataclasses.replace(OPTIONS, temperature=0.0),
        dataclasses.replace(OPTIONS, max_tokens=10),
    ]
    keys = [request.key(OPTIONS), *(r.key(OPTIONS) for r in changed), *(request.key(o) for o in options)]
    assert len(set(keys)) == len(keys)


def test_what_does_not_change_the_reply_keeps_the_key():
    request = Request("p@1", ("q", page()), SCHEMA)
    key = request.key(OPTIONS)
    for change in (
        {"base_url": "http://other:2/v1"},
        {"timeout": 1.0, "concurrency": 2, "max_retries": 0, "backoff": 0.0},
        {"prompt_price": 1.0, "completion_price": 1.0, "batch_discount": 0.2},
        {"api_key_env": "OTHER"},
    ):
        assert request.key(dataclasses.replace(OPTIONS, **change)) == key
    assert dataclasses.replace(request, schema=json.loads(json.dumps(SCHEMA))).key(OPTIONS) == key


def test_the_most_tokens_are_bytes_of_text_and_qwens_count_of_pages():
    bare = Request("p@1", ("x",), None).most_tokens(OPTIONS)
    assert Request("p@1", ("x" + "ä" * 10,), None).most_tokens(OPTIONS) == bare + 20
    assert Request("p@1", ("x", page(), page("red")), None).most_tokens(OPTIONS) == bare + 2 * (
        page_tokens(1224, 1584) + 2
    )
    assert Request("p@1", ("x",), None, system="12345").most_tokens(OPTIONS) == bare + 5
    assert Request("p@1", ("x",), SCHEMA).most_tokens(OPTIONS) == bare + len(json.dumps(SCHEMA))


def test_the_start_of_the_answer_is_sent_last_and_parameters_beside_it():
    parameters = {"continue_final_message": True, "add_generation_prompt": False}
    request = Request("p@1", ("q",), None, answer_start="Answer:", max_tokens=7, parameters=parameters)
    body = request.body(OPTIONS)
    assert body["messages"] == request.messages()
    assert body["messages"][1:] == [{"role": "assistant", "content": "Answer:"}]
    assert (body["max_tokens"], body["continue_final_message"], body["add_generation_prompt"]) == (7, True, False)
    assert request.longest_reply(OPTIONS) == 7
    bare = Request("p@1", ("q",), None)
    assert bare.longest_reply(OPTIONS) == OPTIONS.max_tokens
    assert request.most_tokens(OPTIONS) == bare.most_tokens(OPTIONS) + len("Answer:")
    changed = [
        dataclasses.replace(request, **change)
        for change in ({"answer_start": ""}, {"max_tokens": 8}, {"parameters": {}})
    ]
    assert len({r.key(OPTIONS) for r in (request, bare, *changed)}) == 5


def test_a_reply_of_no_tokens_is_refused():
    with pytest.raises(ValueError, match="max_tokens of the request p@1 is 0, expected at least 1"):
        Request("p@1", ("q",), None, max_tokens=0)
