"""The file that the page exports: read, checked against the set, told."""

import json

import pytest
from review_set import asked, document, write_set

from mmprolong_hf.review.grades import GRADES, Review, check_review, describe_reviews, read_review
from mmprolong_hf.review.sample import draw_sample


@pytest.fixture
def folder(tmp_path):
    tasks = ["extract-single", "reasoning"]
    documents = [document(d, [asked(f"Question {k} of {d}?", task=tasks[k % 2]) for k in range(10)]) for d in range(2)]
    return write_set(tmp_path / "set", documents)


@pytest.fixture
def content(folder):
    """As the page writes it: 10 of 20 drawn, 8 graded, 6 of them correct."""
    sample = draw_sample(folder, num_samples=10)
    rows = [
        {**{name: question[name] for name in ("doc_id", "question", "task")}, "grade": grade, "note": ""}
        for question, grade in zip(sample.questions, [GRADES[0]] * 6 + [GRADES[1], GRADES[3], None, None])
    ]
    facts = {"format_version": 1, "fingerprint": sample.fingerprint, "seed": 0, "split": "train", "num_questions": 20}
    return facts | {"reviewer": "Ada", "samples": rows}


def read(tmp_path, content) -> Review:
    path = tmp_path / "review.json"
    path.write_text(json.dumps(content))
    return read_review(path)


def test_grades_of_the_drawn_questions_are_accepted(folder, tmp_path, content):
    review = read(tmp_path, content)
    check_review(review, folder)
    assert len(review.graded) == 8
    assert [sample.grade for sample in review.samples] == [row["grade"] for row in content["samples"]]


def test_a_set_built_again_with_the_same_questions_still_matches(tmp_path, content):
    tasks = ["extract-single", "reasoning"]
    documents = [document(d, [asked(f"Question {k} of {d}?", task=tasks[k % 2]) for k in range(10)]) for d in (1, 0)]
    check_review(read(tmp_path, content), write_set(tmp_path / "again", documents))


def swap(content):
    content["samples"][1], content["samples"][4] = content["samples"][4], content["samples"][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(seed=1), "sample 1 '.*', expected '.*', which seed 1 draws from"),
        (lambda c: c["samples"][2].update(question="Mine?"), "as question of sample 3 'Mine\\?', expected 'Question"),
        (lambda c: c["samples"][2].update(task="other"), "as task of sample 3 'other', expected "),
        (swap, "of sample 2 "),
        (lambda c: c["samples"].pop(), "one was left out of the file"),
        (lambda c: c.update(num_questions=21), "has 10 of 21 questions, expected 10 of the 20 in the train split"),
        (lambda c: c["samples"].extend([c["samples"][0]] * 11), "has 21 of 20 questions, expected 20 of the 20"),
        (lambda c: c.update(samples=[]), "has 0 of 20 questions, expected 1 of the 20"),
        (lambda c: c.update(fingerprint="0" * 16), "or an answer or its evidence is not what was graded"),
        (lambda c: c.update(split="test"), "has no split 'test'"),
    ],
)
def test_grades_of_anything_else_are_refused(folder, tmp_path, content, change, message):
    change(content)
    with pytest.raises(ValueError, match=message):
        check_review(read(tmp_path, content), folder)


def test_a_set_with_other_answers_is_refused(tmp_path, content):
    tasks = ["extract-single", "reasoning"]
    documents = [
        document(d, [asked(f"Question {k} of {d}?", task=tasks[k % 2], answer="no") for k in range(10)])
        for d in range(2)
    ]
    with pytest.raises(ValueError, match="or an answer or its evidence is not what was graded"):
        check_review(read(tmp_path, content), write_set(tmp_path / "other", documents))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format_version=2), "has the format_version 2, expected 1: export it from a page"),
        (lambda c: c.update(seed="0"), "has seed '0', expected int: export it again"),
        (lambda c: c.update(seed=True), "has seed True, expected int"),
        (lambda c: c.pop("fingerprint"), "has fingerprint None, expected str"),
        (lambda c: c.update(reviewer=" "), "has reviewer ' ', expected a name of 1 to 80"),
        (lambda c: c.update(reviewer="A\n\n## B"), "expected a name of 1 to 80 characters in a line"),
        (lambda c: c["samples"][3].pop("note"), "has no doc_id, question, task, note in sample 4"),
        (lambda c: c["samples"].append("text"), "in sample 11, expected a text for each"),
        (lambda c: c["samples"][0].update(grade="fine"), "has the grade 'fine' in sample 1, expected null or one of"),
        (lambda c: c["samples"][0].update(grade=["correct"]), r"has the grade \['correct'\] in sample 1"),
    ],
)
def test_a_broken_file_is_told(tmp_path, content, change, message):
    change(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_a_file_that_is_no_json_is_told(tmp_path):
    path = tmp_path / "review.json"
    with pytest.raises(ValueError, match=r"review.json cannot be read \(.*No such file.*\), expected the file that"):
        read_review(path)
    for broken in (b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"review.json cannot be read"):
            read_review(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="has the format_version None, expected 1"):
        read_review(path)


def test_a_review_is_told_with_its_uncertainty_and_what_was_left_out(tmp_path, content):
    text = describe_reviews([read(tmp_path, content)])
    assert "Ada graded 8 of 10 questions, drawn at random (seed 0) from the 20 of the train split." in text
    assert "6 of 8 are correct: 75.0 % (95 % Wilson interval 40.9 to 92.9 %)." in text
    assert "2 were drawn and not graded, and may differ from those that were." in text
    assert (
        "| task | graded | correct | wrong answer | ambiguous | wrong evidence |\n|---|---|---|---|---|---|\n" in text
    )
    assert "| all | 8 | 6 | 1 | 0 | 1 |" in text
    graded = [row for row in content["samples"] if row["grade"] and row["task"] == "reasoning"]
    right = sum(row["grade"] == "correct" for row in graded)
    assert f"| reasoning | {len(graded)} | {right} | " in text
    assert (
        "had 100 of its own pairs checked by hand, and 97 were fully correct: 97.0 % (95 % Wilson interval 91.5 to 99.0 %)"
        in text
    )


def test_when_all_are_graded_nothing_is_left_out_and_when_none_is_nothing_is_known(tmp_path, content):
    for row in content["samples"]:
        row["grade"] = "correct"
    assert "not graded" not in describe_reviews([read(tmp_path, content)])
    for row in content["samples"]:
        row["grade"] = None
    assert "0 of 0 are correct: nothing is known yet." in describe_reviews([read(tmp_path, content)])


def test_each_reviewer_has_a_table_and_names_are_no_markup(tmp_path, content):
    first = read(tmp_path, content)
    second = read(tmp_path, content | {"reviewer": "<b>Bo|b</b> [x](y)"})
    text = describe_reviews([first, second])
    assert text.count("| task | graded |") == 2
    assert text.count("The paper that this set follows") == 1
    assert "\\<b\\>Bo\\|b\\</b\\> \\[x\\](y) graded 8 of 10" in text
    with pytest.raises(ValueError, match="more than one review by Ada, expected one for each reviewer"):
        describe_reviews([first, first])
    with pytest.raises(ValueError, match="there is no review, expected at least one"):
        describe_reviews([])
