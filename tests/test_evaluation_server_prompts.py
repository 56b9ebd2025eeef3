"""A server that leaves pages out or shrinks them is found by the tokens that it counts."""

from io import BytesIO

import pytest
import tiny
from PIL import Image
from scripted_server import Answer, ScriptedServer, images

from mmprolong_hf.evaluation.answers import read_lines
from mmprolong_hf.evaluation.requests import Ask, Context, PageImage
from mmprolong_hf.evaluation.run import run_contexts
from mmprolong_hf.evaluation.server_engine import TEMPLATE_TOKENS, ServerEngine, ServerFailing
from mmprolong_hf.synthesis.endpoint import EndpointOptions

AREA = 1024 * 1024  # no page is made smaller
PAGES = [PageImage(tiny.jpeg(tiny.page(seed, 448, 448))) for seed in range(4)]
CONTEXTS = [Context(("Read this.\n\n", *PAGES), (Ask(f"id-{i}", f"\n\nWhat is {i}?"),)) for i in range(7)]


def counting_server(processor, *, keep=slice(None), scale=1.0, system="", usage=True):
    """A server that reads what it is sent with a real processor, after it has changed it."""

    def answer(body):
        content, pages = [], [Image.open(BytesIO(data)) for data in images(body)][keep]
        pages = [page.resize((round(page.width * scale), round(page.height * scale))) for page in pages]
        message, *answer_start = body["messages"]
        sent = iter(range(len(pages)))
        for part in message["content"]:
            if part["type"] == "text":
                content.append(part)
            elif next(sent, None) is not None:
                content.append({"type": "image"})
        messages = [{"role": "user", "content": content}]
        if system:
            messages = [{"role": "system", "content": [{"type": "text", "text": system}]}, *messages]
        text = processor.apply_chat_template(messages, add_generation_prompt=True)
        text += "".join(part["content"] for part in answer_start)
        count = processor(text=[text], images=pages, return_tensors="pt").input_ids.shape[1]
        choice = {"message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
        if not usage:
            return Answer("42", usage=False)
        return Answer({"choices": [choice], "usage": {"prompt_tokens": count, "completion_tokens": 2}})

    return ScriptedServer(answer)


def engine(server, processor):
    return ServerEngine(EndpointOptions("m", server.url, backoff=0.001, timeout=5.0), processor=processor)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_server_that_reads_every_page_in_full_answers(family):
    processor = tiny.processor(family, AREA)
    with counting_server(processor) as server:
        answers = [answer for context in CONTEXTS for answer in engine(server, processor).answer(context)]
    assert [(answer.text, answer.error) for answer in answers] == [("42", None)] * 7


@pytest.mark.parametrize("change", [{"keep": slice(3)}, {"scale": 0.5}, {"scale": 2.0}])
def test_a_server_that_changes_pages_stops_the_run_and_is_asked_again(change, tmp_path):
    processor = tiny.processor(max_pixels=AREA)
    with counting_server(processor, **change) as server:
        with pytest.raises(
            ServerFailing, match=r"other_prompt: .*expected [\d,]+ with all 4 pages in full.*check_prompts=false"
        ):
            run_contexts(CONTEXTS, engine(server, processor), tmp_path)
        assert len(server.requests) == 5
        unchecked = list(engine(server, None).answer(CONTEXTS[0]))
    assert [(answer.text, answer.error) for answer in unchecked] == [("42", None)]
    records = read_lines(tmp_path / "answers.jsonl")
    assert [record["prediction"] for record in records] == [""] * 5
    # by how much is on file
    with counting_server(processor) as whole:
        (answer,) = engine(whole, processor).answer(CONTEXTS[0])
    assert abs(records[0]["prompt_tokens"] - answer.prompt_tokens) > TEMPLATE_TOKENS


def test_words_of_the_servers_own_template_are_no_pages():
    processor = tiny.processor(max_pixels=AREA)
    with counting_server(processor, system="Be brief.") as server:
        (answer,) = engine(server, processor).answer(CONTEXTS[0])
    assert (answer.text, answer.error) == ("42", None)


def test_a_server_that_tells_no_tokens_cannot_be_checked():
    processor = tiny.processor(max_pixels=AREA)
    with counting_server(processor, keep=slice(1), usage=False) as server:
        (answer,) = engine(server, processor).answer(CONTEXTS[0])
    assert (answer.text, answer.error, answer.prompt_tokens) == ("42", None, None)
