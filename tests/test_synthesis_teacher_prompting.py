import re

import pytest
import synthetic_pdf

from mmprolong_hf.synthesis.endpoint import EndpointOptions
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.schema import ANSWER_FORMATS, EVIDENCE_SOURCES
from mmprolong_hf.synthesis.teacher import prompting
from mmprolong_hf.synthesis.teacher.calls import ASKED_TASKS, Call
from mmprolong_hf.synthesis.teacher.exemplars import load_exemplars
from mmprolong_hf.synthesis.teacher.parsing import parse_reply
from mmprolong_hf.synthesis.teacher.prompting import PROMPTS, REPLY_SCHEMA, load_prompt, question_request
from mmprolong_hf.synthesis.verification.anchors import load_phrases, own_words

STYLES = ("json", "tagged")
EXEMPLARS = load_exemplars()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return read_pdf(synthetic_pdf.report(tmp_path_factory.mktemp("pdf") / "report.pdf"), dpi=36).pages


def words_of(request):
    return request.content[-1]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", ASKED_TASKS)
def test_a_request_shows_its_pages_first_and_then_says_what_is_wanted(pages, task, style):
    request = question_request(Call((3, 9), task, 2), pages, EXEMPLARS, style=style, seed="0")
    *shown, words = request.content
    assert shown[::2] == [f"Page {k}:" for k in range(3, 10)]
    assert shown[1::2] == [page.image for page in pages[2:9]]
    assert f"pages 3 to 9 of a document of {len(pages)} pages" in words
    assert "Number of questions: 2." in words
    assert load_prompt(task).strip() in words
    assert load_prompt(f"reply-{style}").strip() in words
    assert words.count("Example ") == 2
    assert not re.search(r"\$\{?[a-z_]", words), "a slot was left open"
    assert request.schema == (REPLY_SCHEMA if style == "json" else None)
    assert re.fullmatch(rf"{task}@[0-9a-f]{{12}}", request.prompt)


def test_tasks_and_styles_are_other_prompts_and_the_same_pages_are_the_same_beginning(pages):
    requests = [
        question_request(Call((3, 9), task, 2), pages, EXEMPLARS, style=style, seed="0")
        for task in ASKED_TASKS
        for style in STYLES
    ]
    assert len({r.prompt for r in requests}) == len(requests)
    assert len({r.content[:-1] for r in requests}) == 1


@pytest.mark.parametrize("style", STYLES)
def test_examples_are_read_back_as_replies(style):
    for task in ASKED_TASKS:
        for exemplar in EXEMPLARS.by_task[task]:
            assert parse_reply(prompting.write_reply([exemplar.question], style), style) == [exemplar.question]


def test_an_edited_prompt_or_exemplar_is_another_prompt_and_another_request(pages, tmp_path, monkeypatch):
    call, options = Call((3, 9), "reasoning", 2), EndpointOptions("m", base_url="http://localhost/v1")
    before = question_request(call, pages, EXEMPLARS, style="json", seed="0")
    other = tmp_path / "mine.yaml"
    other.write_text(EXEMPLARS.text + "\n# mine\n", encoding="utf-8")
    mine = question_request(call, pages, load_exemplars(other), style="json", seed="0")
    assert mine.content == before.content
    assert mine.prompt != before.prompt
    assert mine.key(options) != before.key(options)
    edited = load_prompt("reply-json") + "\n"
    monkeypatch.setattr(prompting, "load_prompt", lambda name: edited if name == "reply-json" else load_prompt(name))
    changed = question_request(call, pages, EXEMPLARS, style="json", seed="0")
    assert changed.content == before.content
    assert changed.prompt != before.prompt


def test_the_seed_chooses_the_examples(pages):
    def ask(seed):
        return question_request(Call((3, 9), "reasoning", 2), pages, EXEMPLARS, style="json", seed=seed)

    assert ask("0") == ask("0")
    assert len({words_of(ask(str(seed))) for seed in range(10)}) > 3
    assert len({ask(str(seed)).prompt for seed in range(10)}) == 1


def test_words_of_the_document_are_never_slots(pages, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(EXEMPLARS.text.replace("Kelby Weir", "Kelby $task {first} Weir"), encoding="utf-8")
    exemplars = load_exemplars(path)
    drawn = [
        question_request(Call((1, 8), "extract-single", 1), pages, exemplars, style="json", seed=str(k))
        for k in range(9)
    ]
    assert any("Kelby $task {first} Weir" in words_of(request) for request in drawn)


def test_the_schema_is_strict_and_asks_for_what_a_record_has():
    def objects(schema):
        if schema.get("type") == "object":
            yield schema
        for part in schema.get("properties", {}).values():
            yield from objects(part)
        if "items" in schema:
            yield from objects(schema["items"])

    found = list(objects(REPLY_SCHEMA))
    assert len(found) == 3
    assert all(o["required"] == list(o["properties"]) and o["additionalProperties"] is False for o in found)
    record = EXEMPLARS.by_task["reasoning"][0].question.to_record()
    assert list(found[1]["properties"]) == list(record)
    assert list(found[2]["properties"]) == list(record["evidence"][0])


def test_the_prompts_name_what_the_schema_knows():
    core = load_prompt("ask")
    assert all(f"`{name}`" in core for name in (*ANSWER_FORMATS, *EVIDENCE_SOURCES))
    assert all(
        f"`{name}`" in core for name in ("page", "source", "quote", "anchor", "answer", "answer_format", "expression")
    )


def test_the_phrases_that_the_prompt_forbids_are_those_that_the_verification_refuses():
    rule = load_prompt("ask").split("Never point with words")[1].split("Copy the words")[0]
    forbidden = re.findall(r'"([^"]+)"', rule)
    patterns = [r["found"] for r in load_phrases()["vague"]] + load_phrases()["scopes"]
    pointing = [phrase for phrase in forbidden if phrase not in ("it", "they")]
    assert len(pointing) >= 8
    for phrase in pointing:
        question = own_words(f"Which height of the tower do you see {phrase}?")
        assert any(re.search(pattern, question, re.IGNORECASE) for pattern in patterns), phrase


def test_every_prompt_file_is_used_and_ends_with_one_newline():
    names = {path.stem for path in PROMPTS.glob("*.md")}
    assert names == {"ask", *ASKED_TASKS, "reply-json", "reply-tagged", "repair", "transcribe_page"}
    for path in PROMPTS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"\S\n\Z", text), path
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), path
