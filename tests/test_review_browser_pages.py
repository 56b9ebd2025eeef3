"""What a person sees on the page, in a real browser: boxes, neighbours, hostile text, what is fetched, contrast."""

import json
from functools import partial

import pytest
from browser import Browser, needs_browser
from review_set import BOX, asked, document, start, write_set
from synthetic_pdf import built, report

from mmprolong_hf.review.page import write_review

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def fresh(browser):
    """Opens a page as nobody has graded it; its console must stay silent."""
    yield partial(start, browser)
    assert browser.errors() == []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Questions that a build asks of a report."""
    folder = tmp_path_factory.mktemp("page")
    row = built(report(folder / "a.pdf"), pages__dpi=72).row
    return write_review(write_set(folder / "set", [row]), folder / "page").path


def test_boxes_lie_on_their_evidence_at_every_zoom_and_can_be_switched_off(page, fresh):
    browser = fresh(page)
    script = """return SET.samples[state.current].evidence_boxes.map((box, k) => {
        const sheet = document.querySelector(`#page-${box[0]} img`).getBoundingClientRect();
        const seen = document.getElementById(`box-${k}`).getBoundingClientRect();
        return [[seen.left - sheet.left, seen.top - sheet.top, seen.right - sheet.left, seen.bottom - sheet.top],
                [box[1] * sheet.width, box[2] * sheet.height, box[3] * sheet.width, box[4] * sheet.height]];
    })"""
    for _ in range(5):
        for zoom in ("0", "+", "+"):
            browser.press(zoom)
            boxes = browser.run(script)
            assert boxes
            for seen, expected in boxes:
                assert seen == pytest.approx(expected, abs=1)
        assert browser.text("#zoom") == "156 %"
        browser.press("ArrowRight")  # to the side, not to the next question
        assert browser.run("return document.getElementById('pages').scrollLeft") > 0
        browser.press("j")
    visibility = "return getComputedStyle(document.getElementById('box-0')).visibility"
    assert browser.run(visibility) == "visible"
    browser.press("b")
    assert browser.run(visibility) == "hidden"
    browser.click("#boxes")
    assert browser.run(visibility) == "visible"
    browser.press("0")


def test_the_first_box_is_seen_and_a_neighbour_opens_large(tmp_path, fresh):
    folder = write_set(tmp_path / "set", [document(1, [asked("Where?", page=3)], num_pages=6, size=(600, 1600))])
    browser = fresh(write_review(folder, tmp_path / "page").path)
    script = (
        "const r = document.getElementById(arguments[0]).getBoundingClientRect(); return [r.top, r.bottom, r.width]"
    )
    top, bottom, _ = browser.run(script, "box-0")
    assert 50 < top < bottom < 720
    labels = browser.run("return [...document.querySelectorAll('#strip button')].map(b => b.ariaLabel)")
    assert labels == ["Open page 2", "Go to page 3, evidence", "Open page 4"]
    assert browser.run(script, "page-4")[2] == 0
    browser.click("#strip button:last-child")
    top, _, width = browser.run(script, "page-4")
    assert 0 < top < 100
    assert width == browser.run(script, "page-3")[2] > 600
    corner = browser.run("const i = document.querySelector('#page-3 img'); return [i.naturalWidth, i.naturalHeight]")
    assert corner == [600, 1600]
    assert pytest.approx(browser.run("return SET.samples[0].evidence_boxes[0].slice(1)"), abs=1e-6) == BOX


def test_hostile_text_stays_text(tmp_path, fresh):
    evil = "</script><img src=x onerror=\"document.title='broken'\"><b>bold</b> {{7*7}} \u202eright to left"
    questions = [asked(evil, answer=evil * 60, quote=evil), asked("plain?", answer=" \u05e9\u05dc\u05d5\u05dd")]
    folder = write_set(tmp_path / "set", [{**document(1, questions), "source": evil}])
    browser = fresh(write_review(folder, tmp_path / "page").path)
    if "plain" in browser.text("#question"):
        browser.press("j")
    assert browser.run("return document.getElementById('question').textContent") == evil
    assert browser.run("return document.getElementById('answer').textContent") == evil * 60
    assert browser.run("return document.querySelectorAll('#sample img, #sample b b').length") == 0
    assert browser.run("return document.title") == "Review of set"
    over = (
        "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight, innerWidth, innerHeight]"
    )
    wide, high, *window = browser.run(over)
    assert [wide, high] == window  # a long answer scrolls inside its own frame
    browser.press("1", "1")
    assert evil in browser.run("return document.body.textContent") or browser.text("#sample h2")
    rows = json.loads(browser.run("return JSON.stringify(review())"))["samples"]
    assert evil in [row["question"] for row in rows]
    assert browser.run("return document.title") == "Review of set"


def test_of_a_thousand_questions_only_what_is_looked_at_is_fetched(tmp_path, fresh):
    questions = [asked(f"Question {k}?", page=2 + k % 196) for k in range(1000)]
    folder = write_set(tmp_path / "set", [document(1, questions, num_pages=200, size=(60, 80))])
    browser = fresh(write_review(folder, tmp_path / "page", num_samples=1000).path)

    def evidence_page(number):
        return browser.run("return SET.samples[arguments[0]].evidence_pages[0]", number)

    def fetch():
        urls.extend(browser.requests())
        return {int(url[-8:-4]) for url in urls if url.endswith(".jpg")}

    is_loaded = "return [...document.querySelectorAll('#strip img')].every(image => image.complete)"
    for number in range(3):
        urls, (page_now, page_next) = [], (evidence_page(number), evidence_page(number + 1))
        browser.wait_until(lambda page_next=page_next: page_next in fetch(), "the next one is fetched ahead")
        browser.wait_until(lambda: browser.run(is_loaded), "the pages are there")
        assert fetch() <= {page_now - 1, page_now, page_now + 1, page_next}
        assert browser.run("return document.querySelector(arguments[0]).naturalWidth", f"#page-{page_now} img") == 60
        assert all(url.startswith(("file:", "data:")) for url in urls)
        browser.press("1")
    assert browser.text("#graded") == "3 of 1000 graded"


def test_of_a_long_document_whose_every_page_is_evidence_only_what_is_near_is_fetched(tmp_path, fresh):
    question = asked("Transcribe the document.") | {"evidence_pages": list(range(1, 101)), "task": "ocr-full"}
    folder = write_set(tmp_path / "set", [document(1, [question], num_pages=100, size=(60, 80))])
    browser = fresh(write_review(folder, tmp_path / "page").path)
    fetched = [url for url in browser.requests() if url.endswith(".jpg")]
    assert 2 <= len(set(fetched)) <= 40
    browser.click("#strip button:nth-child(90)")
    width = "return document.querySelector('#page-90 img').naturalWidth"
    browser.wait_until(lambda: browser.run(width) == 60, "page 90 is fetched when it is asked for")


def test_the_checks_are_folded_away_until_they_are_asked_for(page, fresh):
    browser = fresh(page)
    assert "pass" not in browser.text("#sample")
    browser.click("#sample summary")
    assert "quotes found\npass" in browser.text("#sample")
    browser.press("1")
    assert "pass" not in browser.text("#sample")


def test_a_missing_page_image_is_told(tmp_path, browser):
    folder = write_set(tmp_path / "set", [document(1, [asked("Where?")])])
    page = write_review(folder, tmp_path / "page").path
    for path in (page.parent / "pages").iterdir():
        path.unlink()
    browser.open(page)
    browser.wait_until(lambda: "keep index.html and its folder pages together" in browser.text("#warning"), "told")
    assert all("ERR_FILE_NOT_FOUND" in error for error in browser.errors())


# WCAG 2.2, success criterion 1.4.3: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
CONTRAST = """
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
    const ground = (node) => {
        const colour = getComputedStyle(node).backgroundColor;
        return (channels(colour)[3] ?? 1) === 1 ? colour : ground(node.parentElement);
    };
    const texts = [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility() && !node.disabled
        && [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
    return texts.map((node) => {
        const [one, other] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => a - b);
        return [node.tagName + "." + node.className + "#" + node.id, (other + 0.05) / (one + 0.05)];
    });
"""


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_readable_and_all_buttons_are_in_sight(page, fresh, scheme, size):
    browser = fresh(page)
    browser.colours(scheme)
    browser.resize(*size)
    browser.press("1", "2")
    for view in ("a question", "the keys", "the end"):
        found = browser.run(CONTRAST)
        assert len(found) > 15
        assert {name: ratio for name, ratio in found if ratio < 4.5} == {}, view
        outside = browser.run(
            "return [...document.querySelectorAll('header button, .move button, .view button, [data-grade], #undo')].filter((b) => {"
            "const r = b.getBoundingClientRect();"
            "return b.checkVisibility() && (r.left < 0 || r.top < 0 || r.right > innerWidth || r.bottom > innerHeight)}).map(b => b.id)"
        )
        assert outside == [], view
        unnamed = "return [...document.querySelectorAll('button')].filter(b => !(b.ariaLabel || b.textContent.trim())).length"
        assert browser.run(unnamed) == 0
        browser.press("?") if view == "a question" else browser.press("Escape")
        if view == "the keys":
            browser.wait_until(lambda: browser.run("return !document.querySelector('dialog[open]')"), "it is closed")
            browser.run("move(SET.samples.length)")
    browser.resize(1280, 720)
    browser.colours("light")


def test_in_a_narrow_window_nothing_is_cut_off(page, fresh):
    browser = fresh(page)
    wide = (
        "return [...document.querySelectorAll('button:not(#strip *), #note, #question, .box, dialog[open] p')].filter((node) => {"
        "const r = node.getBoundingClientRect(); return node.checkVisibility() && (r.left < 0 || r.right > innerWidth)})"
        ".map((node) => node.id || node.className)"
    )
    for width in (320, 640, 900):  # 1280 pixels at 400, 200 and 142 %
        browser.resize(width, 480)
        for action in ("move(0)", "$('keys').showModal()", "$('keys').close(); move(SET.samples.length)"):
            browser.run(action)
            assert browser.run(wide) == [], (width, action)
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    browser.resize(1280, 720)
