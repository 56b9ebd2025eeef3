"""The page as a person uses it, in a real browser: keys, reload, export, import."""

import json
from functools import partial

import pytest
from browser import Browser, needs_browser
from review_set import start

from mmprolong_hf.demo.reports import write_reports
from mmprolong_hf.evaluation.metrics.statistics import wilson_interval
from mmprolong_hf.review.grades import GRADES, check_review, read_review
from mmprolong_hf.review.page import write_review
from mmprolong_hf.review.sample import draw_sample
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

pytestmark = needs_browser
NUM = 20
GIVEN = [GRADES[k] for k in (0, 0, 1, 0, 2, 3, *[0] * 14)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A set of two reports, and its page."""
    folder = tmp_path_factory.mktemp("built")
    write_reports(folder / "pdfs", count=2)
    changes = {"output": str(folder / "set"), "pages.dpi": 36, "pool.near_duplicates": None, "engine.workers": 1}
    build_dataset(folder_plan(folder / "pdfs", changes))
    return folder / "set", write_review(folder / "set", folder / "page", num_samples=NUM).path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def fresh(browser):
    """Opens a page as nobody has graded it; its console must stay silent."""
    yield partial(start, browser)
    assert browser.errors() == []


def grade_all(browser, grades):
    for grade in grades:
        browser.press(str(GRADES.index(grade) + 1))


def download(browser, action):
    path = browser.downloads / "review.json"
    path.unlink(missing_ok=True)
    action()
    browser.wait_until(lambda: path.exists() and path.stat().st_size, "review.json is downloaded")
    return path


def test_grades_given_by_keys_are_exported_and_accepted(built, fresh, tmp_path):
    folder, page = built
    browser = fresh(page)
    grade_all(browser, GIVEN[:5])
    browser.press("n")
    browser.type("2 boxes, 1 page j")  # in the note, these are letters
    browser.press("Escape")
    browser.reload()
    assert browser.text("#graded") == f"5 of {NUM} graded"
    assert browser.text("#number") == f"Question 6 of {NUM}"
    assert browser.run("return document.querySelector('#note').value") == "2 boxes, 1 page j"
    grade_all(browser, GIVEN[5:])
    assert "All graded" in browser.text("#question, #sample h2")
    review = read_review(download(browser, lambda: browser.click("#finish")))
    check_review(review, folder)
    assert [sample.grade for sample in review.samples] == GIVEN
    assert [sample.note for sample in review.samples] == [""] * 5 + ["2 boxes, 1 page j"] + [""] * 14
    assert (review.reviewer, review.seed, review.num_questions) == (
        "Ada",
        0,
        draw_sample(folder, num_samples=1).num_questions,
    )
    with Browser(tmp_path / "another") as other:
        other.open(page)
        other.type("Bo")
        other.press("Enter", "1")
        other.choose_file("#file", browser.downloads / "review.json")
        assert "Replace the 1 grades" in other.answer(accept=True)
        other.wait_until(lambda: other.text("#graded") == f"{NUM} of {NUM} graded", "the grades are there")
        again = read_review(download(other, lambda: other.click("#export")))
        assert again == review
        assert other.errors() == []


def test_the_share_and_its_interval_are_those_of_the_report(built, fresh):
    browser = fresh(built[1])
    assert browser.text("#share") == ""
    grade_all(browser, GIVEN[:6])
    low, high = wilson_interval(3, 6)
    assert browser.text("#share") == f"50.0 % correct ({100 * low:.1f} to {100 * high:.1f})"
    for num in (1, 7, 100):
        for right in {0, num // 3, num}:
            assert browser.run("return wilsonInterval(...arguments)", right, num) == pytest.approx(
                wilson_interval(right, num)
            )
    assert browser.text("#left") == "under a minute left"
    browser.run("state.seconds = [30, 3600, 30]; showState()")  # somebody went for lunch
    assert browser.text("#left") == "7 min left"


def test_moving_and_taking_back(built, fresh):
    browser = fresh(built[1])

    def number():
        return int(browser.text("#number").split()[1])

    browser.press("j", "ArrowRight", "k")
    assert number() == 2
    browser.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert number() == 1
    browser.click("#next")
    browser.press("2")
    assert number() == 3
    browser.press("k", "k", "1")
    assert number() == 3  # not 2, which has its grade
    browser.press("u")
    assert number() == 1
    assert browser.text("#graded") == f"1 of {NUM} graded"
    browser.press("j")
    assert browser.run("return document.querySelector('[aria-pressed=true][data-grade]').dataset.grade") == GRADES[1]
    browser.click("#undo")
    assert (number(), browser.text("#graded")) == (2, f"0 of {NUM} graded")
    browser.click(f"[data-grade='{GRADES[3]}']")
    assert number() == 3
    browser.press("Space")  # scrolls; the button that was clicked has no focus any more
    assert browser.text("#graded") == f"1 of {NUM} graded"


def test_after_the_last_question_come_those_that_were_left_out(built, fresh):
    browser = fresh(built[1])
    browser.press("1", "j", "1")  # 1 and 3
    browser.run("move(arguments[0])", NUM - 1)
    browser.press("1")
    assert browser.text("#number") == f"Question 2 of {NUM}"
    browser.press("k", "u")  # the grade that is seen, not the last one
    assert browser.text("#number") == f"Question 1 of {NUM}"
    assert browser.run("return state.grades.map((grade, k) => grade && k + 1).filter(Boolean)") == [3, NUM]


def test_a_key_that_is_held_down_grades_once(built, fresh):
    browser = fresh(built[1])
    browser.run(
        "for (const repeat of [false, true, true]) document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '1', repeat, bubbles: true}))"
    )
    assert browser.text("#graded") == f"1 of {NUM} graded"
    browser.run("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '1', ctrlKey: true, bubbles: true}))")
    assert browser.text("#graded") == f"1 of {NUM} graded"


def test_a_file_of_other_questions_is_not_taken(built, fresh, tmp_path):
    browser = fresh(built[1])
    browser.press("1")
    content = json.loads(browser.run("return JSON.stringify(review())"))
    for change, message in [
        ({"fingerprint": "other"}, "is of other questions"),
        ({"samples": content["samples"][1:]}, "is of other questions"),
        ({"samples": [{"grade": "fine", "note": ""}] * NUM}, "has a grade that is none of"),
        ({"samples": [None] * NUM}, "has a grade that is none of"),
        ({"samples": "x" * NUM}, "is of other questions"),
        ({"reviewer": "x" * 81}, "does not say who graded"),
        ({"reviewer": None}, "does not say who graded"),
    ]:
        (tmp_path / "other.json").write_text(json.dumps(content | change))
        browser.choose_file("#file", tmp_path / "other.json")
        browser.wait_until(lambda message=message: message in browser.text("#warning"), message)
        assert browser.text("#graded") == f"1 of {NUM} graded"
    (tmp_path / "other.json").write_text("{")
    browser.choose_file("#file", tmp_path / "other.json")
    browser.wait_until(lambda: "is no JSON" in browser.text("#warning"), "it is told")


def test_the_name_is_asked_once_and_nothing_is_graded_without_it(built, fresh):
    browser = fresh(built[1])
    browser.reload()
    assert browser.run("return document.querySelector('dialog[open]')") is None
    browser.run("localStorage.clear()")
    browser.reload()
    browser.press("Escape")
    browser.wait_until(lambda: browser.run("return !document.querySelector('dialog[open]')"), "it is closed")
    browser.press("1")
    assert browser.text("#graded") == f"0 of {NUM} graded"
    assert browser.run("return document.querySelector('dialog[open]').id") == "name"
    browser.type("  ")
    browser.press("Enter")
    assert browser.run("return document.querySelector('dialog[open]').id") == "name"
    browser.type("Bo")
    browser.press("Enter")
    assert browser.text("#who") == "Bo"


def test_without_a_name_nothing_is_exported(built, fresh):
    browser = fresh(built[1])
    for path in browser.downloads.iterdir():
        path.unlink()
    browser.run("state.reviewer = ''")
    browser.click("#export")
    assert browser.run("return document.querySelector('dialog[open]').id") == "name"
    assert not list(browser.downloads.iterdir())


def test_a_browser_that_keeps_nothing_says_so(built, fresh):
    browser = fresh(built[1])
    assert not browser.text("#warning")
    leave = "const e = new Event('beforeunload', {cancelable: true}); dispatchEvent(e); return e.defaultPrevented"
    browser.press("1")
    assert not browser.run(leave)
    browser.run("Storage.prototype.setItem = () => { throw new Error('full'); }")
    browser.press("1")
    assert browser.text("#warning").startswith("Grades cannot be kept in this browser (full): export them")
    assert browser.text("#graded") == f"2 of {NUM} graded"
    assert browser.run(leave)  # the browser asks before the page is closed
    file = download(browser, lambda: browser.click("#export"))
    assert not browser.run(leave)
    browser.choose_file("#file", file)
    assert "Replace the 2 grades" in browser.answer(accept=True)
    browser.wait_until(lambda: browser.run(leave), "what was taken over is not kept either")
    assert browser.text("#warning").startswith("Grades cannot be kept")
    browser.run("unsaved = false")  # let the next test open its page


def test_grades_of_another_tab_are_taken_over(built, fresh):
    browser = fresh(built[1])
    browser.press("1", "j")
    browser.run(
        "const other = structuredClone(state); other.grades[5] = SET.grades[1]; other.order.push(5);"
        "dispatchEvent(new StorageEvent('storage', {key: KEY, newValue: JSON.stringify(other)}))"
    )
    assert browser.text("#graded") == f"2 of {NUM} graded"
    assert browser.text("#number") == f"Question 3 of {NUM}"
