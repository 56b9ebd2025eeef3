import asyncio
import dataclasses
import io
import json

import pymupdf
import pytest
import synthetic_pdf
from PIL import Image
from scripted_server import Answer, ScriptedServer, images, texts

from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, EndpointRefused, ReplyCache
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.scans import parse_elements, transcribe
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.fields import ParseError
from mmprolong_hf.synthesis.teacher.grounding import locate

CHAPTERS = 3


@pytest.fixture(scope="module")
def born(tmp_path_factory):
    return read_pdf(synthetic_pdf.report(tmp_path_factory.mktemp("pdf") / "born.pdf", chapters=CHAPTERS), dpi=36)


@pytest.fixture(scope="module")
def scan(born, tmp_path_factory):
    """The same pages as pictures: a PDF without a letter of text."""
    path = tmp_path_factory.mktemp("pdf") / "scan.pdf"
    document = pymupdf.open()
    for page in born.pages:
        document.new_page(width=612, height=792).insert_image((0, 0, 612, 792), stream=page.image)
    document.save(path)
    return read_pdf(path, dpi=36, min_characters=0)


class Reader:
    """Reads a scanned page as the born-digital one has it: it tells pages by their images."""

    def __init__(self, born, scan):
        self.pages = {picture.image: page for picture, page in zip(scan.pages, born.pages)}

    def __call__(self, body):
        (image,) = images(body)
        page = self.pages[image]
        assert f"The image is page {page.number} of" in texts(body)
        return json.dumps({"elements": list(self.elements(page))})

    def elements(self, page):
        yield {"kind": "header", "text": "A report", "box": [0.4, 0.01, 0.6, 0.03], "level": 0, "cells": []}
        for block in dict.fromkeys(line.block for line in page.lines):
            lines = [line for line in page.lines if line.block == block]
            large = lines[0].size > 12
            if large or lines[0].text.startswith(("Table", "Figure", "This line")):
                kind = "section" if large else "paragraph" if lines[0].text.startswith("This") else "caption"
                box = [
                    min(line.box[0] for line in lines),
                    lines[0].box[1],
                    max(line.box[2] for line in lines),
                    lines[-1].box[3],
                ]
                text = "\n".join(line.text for line in lines)
                yield {
                    "kind": kind,
                    "text": text,
                    "box": box,
                    "level": (1 if lines[0].size > 18 else 2) * large,
                    "cells": [],
                }
        if page.number % 3 == 2:
            cells = synthetic_pdf.rows((page.number - 2) // 3 + 1)
            yield {"kind": "table", "text": "", "box": [0.147, 0.48, 0.83, 0.6], "level": 0, "cells": cells}
        if page.number % 3 == 0:
            yield {"kind": "figure", "text": "", "box": [0.245, 0.48, 0.75, 0.6566], "level": 0, "cells": []}


def read(answer, source, style="json", **options):
    async def run(url):
        endpoint = EndpointOptions("a-reader", base_url=url, style=style, max_retries=0, **options)
        async with Endpoint(endpoint, ReplyCache(":memory:"), Budget()) as opened:
            return await transcribe(opened, source)

    with ScriptedServer(answer) as server:
        return asyncio.run(run(server.url)), server


def test_a_scan_has_the_structure_of_the_document_that_was_scanned(born, scan):
    assert not any(page.lines for page in scan.pages)
    transcript, server = read(Reader(born, scan), scan)
    assert transcript.failed == {}
    assert len(server.requests) == len(scan.pages)
    there, here = build_structure(born), build_structure(transcript.source)

    def sections(structure):
        return [(s.number, s.title, s.level, s.page, s.last_page, s.parent, s.listed) for s in structure.sections]

    def captions(structure):
        return [(c.label, c.text, c.page) for c in structure.captions]

    assert sections(here) == sections(there) != []
    assert captions(here) == captions(there) != []
    assert (
        [(f.caption.number, f.page) for f in here.figures] == [(f.caption.number, f.page) for f in there.figures] != []
    )
    assert (
        [(t.page, t.header, t.rows) for t in here.tables] == [(t.page, t.header, t.rows) for t in there.tables] != []
    )
    assert {p.page for p in here.paragraphs} == {p.page for p in there.paragraphs} != set()
    assert here.countable == there.countable


def test_pictures_stay_and_the_engine_is_named(born, scan):
    transcript, _ = read(Reader(born, scan), scan)
    assert [page.image for page in transcript.source.pages] == [page.image for page in scan.pages]
    assert transcript.source.engine == f"{scan.engine}, endpoint a-reader"


def test_elements_are_in_order_with_headers_that_are_no_lines(born, scan):
    transcript, _ = read(Reader(born, scan), scan)
    pages = [element.page for element in transcript.elements]
    assert pages == sorted(pages)
    assert sum(e.kind == "header" for e in transcript.elements) == len(scan.pages)
    assert not any(line.text == "A report" for page in transcript.source.pages for line in page.lines)
    table = next(e for e in transcript.elements if e.kind == "table")
    assert table.cells == tuple(map(tuple, synthetic_pdf.rows(1)))
    assert table.text.splitlines()[:3] == [
        "| Station | Height | Visitors |",
        "| --- | --- | --- |",
        "| One peak | 107.5 | 1001 |",
    ]
    page = transcript.source.pages[table.page - 1]
    box = locate("One peak 107.5 1001", page)
    assert box == pytest.approx((0.147, 0.504, 0.83, 0.528))


def test_pages_with_text_are_left_alone(born, scan):
    mixed = dataclasses.replace(scan, pages=(*born.pages[:4], *scan.pages[4:]))
    transcript, server = read(Reader(born, scan), mixed)
    assert len(server.requests) == len(scan.pages) - 4
    assert transcript.source.pages[:4] == born.pages[:4]
    assert {e.page for e in transcript.elements} == set(range(5, len(scan.pages) + 1))


def test_a_thinking_model_is_understood(born, scan):
    reader = Reader(born, scan)
    transcript, server = read(
        lambda body: f"<think>Small print.</think>```json\n{reader(body)}\n```", scan, style="tagged"
    )
    assert transcript == read(reader, scan)[0]
    assert "response_format" not in server.requests[0]


def test_a_page_that_fails_is_named_and_stays_without_text(born, scan):
    reader = Reader(born, scan)
    bad = {scan.pages[1].image: "no words", scan.pages[4].image: Answer({"error": {"message": "no"}}, status=422)}
    transcript, server = read(lambda body: bad.get(images(body)[0]) or reader(body), scan)
    assert list(transcript.failed) == [2, 5]
    assert transcript.failed[2].startswith("not_json: found 'no words'")
    assert transcript.failed[5].startswith("http_422: ")
    assert transcript.source.pages[1] == scan.pages[1]
    assert len(server.requests) == len(scan.pages) + 1  # the unreadable page was asked for twice


def test_a_document_of_which_no_page_is_read_is_rejected(scan):
    with pytest.raises(
        RejectedDocument, match=r"not_transcribed: a-reader read none of its 9 scanned pages \(page 1: not_json"
    ):
        read(lambda body: "no words", scan)


def test_a_refused_key_stops_the_run(scan):
    with pytest.raises(EndpointRefused, match="401"):
        read(lambda body: Answer({"error": {"message": "no such key"}}, status=401), scan)


def test_a_blank_page_is_read(scan):
    image = io.BytesIO()
    Image.new("RGB", (60, 80), "white").save(image, "JPEG")
    blank = dataclasses.replace(scan, pages=(dataclasses.replace(scan.pages[0], image=image.getvalue()),))
    transcript, _ = read(lambda body: '{"elements": []}', blank)
    assert (transcript.elements, transcript.failed) == ((), {})


GOOD = {"kind": "paragraph", "text": "It rained.", "box": [0.1, 0.1, 0.9, 0.2], "level": 0, "cells": []}


def elements(**change):
    return json.dumps({"elements": [GOOD | change]})


def test_boxes_over_the_edge_are_clipped_and_hyphens_joined():
    (piece,) = parse_elements(elements(box=[-0.02, 0.1, 1.04, 0.2], text="It rai-\n\n ned  in May."), 3)
    assert piece.element.box == (0.0, 0.1, 1.0, 0.2)
    assert piece.lines == ("It rai-", "ned in May.")
    assert piece.element.text == "It rained in May."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("{}", "no_elements"),
        ('{"elements": {}}', "no_elements"),
        ('{"elements": [1]}', "bad_kind"),
        (elements(kind="poem"), "bad_kind"),
        (elements(kind=["table"]), "bad_kind"),
        (elements(text=""), "no_text"),
        (elements(text=None), "no_text"),
        (elements(text=["a"]), "wrong_type"),
        (elements(text="a <|im_start|> b"), "control_tokens"),
        (elements(text="a\ue012b"), "unreadable_characters"),
        (elements(text="x" * 5001), "too_long"),
        (elements(box=[100, 100, 900, 200]), "bad_box"),
        (elements(box=[0.1, 0.1, 0.9]), "bad_box"),
        (elements(box=None), "bad_box"),
        (elements(box=[0.1, "left", 0.9, 0.2]), "bad_box"),
        (elements(box=[0.1, [0.1], 0.9, 0.2]), "bad_box"),
        (elements(box=[0.9, 0.1, 0.1, 0.2]), "bad_box"),
        (elements(box=[0.1, 0.1, 0.9, 0.1]), "bad_box"),
        (elements(box=[0.1, 0.1, 0.9, 0.2]).replace("0.9", "NaN"), "bad_box"),
        (elements(box=[0.1, 0.1, 0.9, 0.2]).replace("0.9", "1e400"), "bad_box"),
        (elements(kind="section", level=0), "bad_level"),
        (elements(kind="section", level=10), "bad_level"),
        (elements(kind="section", level=[1]), "bad_level"),
        (elements(kind="table", cells=None), "bad_cells"),
        (elements(kind="table", cells=["a", "b"]), "bad_cells"),
        (elements(kind="table", cells=[["a", "b"], ["c"]]), "bad_cells"),
        (elements(kind="table", cells=[[["a"]]]), "wrong_type"),
        (elements(kind="table", text="", cells=[]), "no_text"),
        (json.dumps({"elements": [GOOD] * 501}), "too_long"),
        ("[" * 100_000, "not_json"),
        ("x" * 250_000, "too_long"),
    ],
)
def test_what_is_wrong_with_a_page_is_named(reply, reason):
    with pytest.raises(ParseError, match=f"^{reason}: ") as caught:
        parse_elements(reply, 3)
    assert len(str(caught.value)) < 700


def test_a_picture_may_be_without_words_and_a_table_without_cells():
    (picture,) = parse_elements(elements(kind="figure", text=""), 3)
    assert (picture.element.text, picture.lines) == ("", ())
    (table,) = parse_elements(elements(kind="table", text="a b\nc d"), 3)
    assert (table.element.text, table.element.cells) == ("a b c d", ())
