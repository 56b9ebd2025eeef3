"""What is drawn of a set, and what is read for it."""

from collections import Counter

import pytest
from review_set import asked, document, write_set
from synthetic_pdf import built, report

from mmprolong_hf.review import sample as sample_module
from mmprolong_hf.review.sample import draw_sample, open_documents
from mmprolong_hf.rows import decode_image
from mmprolong_hf.synthesis import output as output_module


def questions(first, count, **changes):
    return [asked(f"Question {k}?", **changes) for k in range(first, first + count)]


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "set", [document(d, questions(10 * d, 10)) for d in range(3)])


def texts(sample):
    return [question["question"] for question in sample.questions]


def test_a_seed_draws_the_same_and_another_seed_others(folder):
    first, again, other = (draw_sample(folder, num_samples=10, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.num_questions == 30
    assert len(set(texts(first))) == 10
    assert texts(first) != texts(other)
    assert first.fingerprint != other.fingerprint


def test_a_small_sample_begins_a_larger_one_and_few_questions_are_all_taken(folder):
    small, large, all_ = (draw_sample(folder, num_samples=num) for num in (5, 20, 1000))
    assert texts(large)[:5] == texts(small)
    assert sorted(texts(all_)) == sorted(f"Question {k}?" for k in range(30))


def test_each_question_is_drawn_equally_often(folder):
    """Of 600 draws of 3 in 30, 60 each: a binomial variable with a standard deviation of 7.3."""
    drawn = Counter(text for seed in range(600) for text in texts(draw_sample(folder, num_samples=3, seed=seed)))
    assert sum(drawn.values()) == 1800
    assert 60 - 4 * 7.3 < min(drawn.values()) <= max(drawn.values()) < 60 + 4 * 7.3


def test_the_order_of_the_rows_and_the_shards_change_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(output_module, "ROW_GROUP_BYTES", 1)
    monkeypatch.setattr(output_module, "SHARD_BYTES", 1)
    turned = write_set(tmp_path / "turned", [document(d, questions(10 * d, 10)[::-1]) for d in (2, 0, 1)])
    assert len(list(turned.glob("questions/*"))) == len(list(turned.glob("data/*"))) == 3
    one, other = (draw_sample(f, num_samples=10) for f in (folder, turned))
    assert one == other
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("changes", [{"answer": "no"}, {"page": 3}, {"quote": "Another"}, {"task": "reasoning"}])
def test_the_fingerprint_is_of_all_that_is_graded(folder, tmp_path, changes):
    changed = write_set(tmp_path / "changed", [document(d, questions(10 * d, 10, **changes)) for d in range(3)])
    before, after = (draw_sample(f, num_samples=5) for f in (folder, changed))
    assert texts(before) == texts(after)
    assert before.fingerprint != after.fingerprint


def test_one_text_asked_of_many_documents_is_as_many_questions(tmp_path):
    folder = write_set(tmp_path / "set", [document(d, [asked("What is the title?")]) for d in range(5)])
    assert len({question["doc_id"] for question in draw_sample(folder, num_samples=5).questions}) == 5
    first = {draw_sample(folder, num_samples=1, seed=seed).questions[0]["doc_id"] for seed in range(40)}
    assert len(first) == 5  # each is missed by 40 draws once in 7,500 times


def test_documents_come_one_at_a_time_with_their_pages(folder, monkeypatch):
    turned, undecoded = [], sample_module.UndecodedRows
    monkeypatch.setattr(sample_module, "UndecodedRows", lambda rows: turned.append(len(rows)) or undecoded(rows))
    rows = open_documents(folder, "train", [f"{d:064d}" for d in (0, 2)])
    assert turned == []
    assert next(rows)["source"] == "document-0.pdf"
    assert turned == [1]
    [last] = rows
    assert last["source"] == "document-2.pdf"
    assert decode_image(last["images"][2]).getpixel((0, 0)) == 32
    assert turned == [1, 1]


def test_the_compact_form_gives_the_same_pages(tmp_path):
    pdf = report(tmp_path / "a.pdf", chapters=2)
    pages = {}
    for store in ("images", "pdf"):
        row = built(pdf, pages__store=store).row
        folder = write_set(tmp_path / store, [row])
        [opened] = open_documents(folder, "train", [row["doc_id"]])
        pages[store] = [page["bytes"] for page in opened["images"]]
    assert len(pages["pdf"]) == 6
    assert pages["pdf"] == pages["images"]


def test_what_is_no_set_is_told(folder, tmp_path):
    with pytest.raises(ValueError, match=r"nothing has no questions/\*\.parquet, expected a set that"):
        draw_sample(tmp_path / "nothing", num_samples=1)
    with pytest.raises(ValueError, match="has no split 'test', expected one of: train"):
        draw_sample(folder, num_samples=1, split="test")
    with pytest.raises(ValueError, match="num_samples is 0, expected at least 1"):
        draw_sample(folder, num_samples=0)
    with pytest.raises(ValueError, match="about 1 documents that its data/ lacks, other among them"):
        list(open_documents(folder, "train", [f"{0:064d}", "other"]))
