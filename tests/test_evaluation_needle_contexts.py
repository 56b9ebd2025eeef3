"""needle_contexts.py: every haystack holds what its records say, where they say it, and nothing else is changed."""

import random
import re
from itertools import combinations

import numpy as np
import pytest
import tiny
from PIL import Image

from mmprolong_hf.encoding import encode_prompt, encode_sample
from mmprolong_hf.evaluation.drawing import MIN_CAPITAL_HEIGHT
from mmprolong_hf.evaluation.drawn_pages import DrawnDocuments
from mmprolong_hf.evaluation.haystack import Haystack
from mmprolong_hf.evaluation.needle_contexts import MAX_COVERED, hide_needles
from mmprolong_hf.evaluation.needle_kinds import KINDS, Needle, load_needle
from mmprolong_hf.evaluation.needle_stamps import shape_stamp, table_stamp, text_stamp

DOCUMENTS = [
    row | {"images": list(row["images"])} for row in DrawnDocuments(num_documents=2, num_pages=4)
]  # drawn once
DEPTHS = [0.0, 0.25, 0.5, 0.75, 1.0]
PROCESSOR = tiny.processor(max_pixels=12_845_056)
LENGTH = 17_000  # six pages


def haystack(documents=DOCUMENTS, seed=0):
    return Haystack(documents, [row["page_sizes"] for row in documents], random.Random(seed))


def hide(needle, pages=None, processor=PROCESSOR, **changes):
    arguments = {"length": LENGTH, "depths": DEPTHS, "trial": 0, "seed": 0} | changes
    return list(hide_needles(processor, pages or haystack(), needle, **arguments))


@pytest.fixture(scope="module")
def pages():
    """Read and drawn once for all tests; what it gives is never changed."""
    return haystack()


def crop(image, box):
    x0, y0, x1, y1 = (round(edge * side) for edge, side in zip(box, image.size * 2))
    return image.crop((x0, y0, x1, y1))


def expected_stamp(needle, hidden, page_size):
    """What must be found in the page, drawn again from the record alone."""
    if needle.kind == "table":
        return table_stamp(hidden["text"].split("\n"), page_size, needle.size)
    if needle.kind == "image":
        return shape_stamp(*hidden["text"].split(": "), page_size, needle.size)
    return text_stamp(hidden["text"], page_size, needle.size)


@pytest.mark.parametrize("kind", KINDS)
def test_each_needle_is_read_in_its_box_and_the_rest_of_the_page_is_untouched(kind, pages):
    needle = load_needle(kind)
    [(context, records)] = hide(needle, pages)
    assert [ask.id for ask in context.asks] == [record["id"] for record in records]
    hidden = [place for record in records for place in record["hidden"]]
    for number, image in enumerate(context.pages, start=1):
        found, original = image.open(), pages.page(number - 1).open()
        here = [place for place in hidden if place["page"] == number]
        for place in here:
            stamp = expected_stamp(needle, place, original.size)
            assert crop(found, place["box"]).tobytes() == stamp.image.tobytes()
            assert place["covered"] == 0
            assert place["capital_height"] >= MIN_CAPITAL_HEIGHT
            found.paste(crop(original, place["box"]), [round(e * s) for e, s in zip(place["box"][:2], original.size)])
        assert found.tobytes() == original.tobytes()
        for first, second in combinations(here, 2):
            (a0, b0, a1, b1), (c0, d0, c1, d1) = first["box"], second["box"]
            assert a1 <= c0 or c1 <= a0 or b1 <= d0 or d1 <= b0
    for record in records:
        values = record["answer"] if kind == "multi" else [record["answer"]]
        told = "\n".join(place["text"] for place in record["hidden"])
        assert kind == "none" or all(value in told for value in values)
        assert len(record["hidden"]) == (3 if kind in ("multi", "distractor") else 1)


def test_needles_of_one_question_are_spread_from_its_depth(pages):
    [(_, records)] = hide(load_needle("multi"), pages)
    for record in records:
        depths = [place["page_depth"] for place in record["hidden"]]
        for i, depth in enumerate(depths):
            target = (record["depth"] + i / 3) % 1 if i else record["depth"]
            assert abs(depth - target) <= (1 / 6 if target > 1 - 1 / 6 else 1 / 12) + 0.01


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_prompt_is_that_of_training_and_as_long_as_recorded(family):
    rows = list(tiny.documents(6).with_format(None))
    images = {row["doc_id"]: row["images"] for row in rows}
    needle = Needle(
        text="{value}", question="What is on page {page}?", keys=("",), values=("lemon", "maple"), size=1.0
    )
    processor = tiny.processor(family)
    contexts = hide(needle, haystack(rows), processor, length=150, depths=[0.0, 0.5, 1.0], isolated=True)
    assert len(contexts) == 3
    for context, [record] in contexts:
        opened = [page.open() for page in context.pages]
        numbers = range(1, len(opened) + 1)
        text = encode_prompt(processor, opened, numbers, record["question"])
        parts = [*context.parts, context.asks[0].text]
        content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts]
        said = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        asked = processor(text=[said], images=opened, return_tensors="pt", add_special_tokens=False)
        assert asked["input_ids"].tolist() == text["input_ids"].tolist()
        sample = encode_sample(processor, opened, numbers, record["question"], record["answer"])
        assert 150 - 40 < record["num_tokens"] == len(sample["input_ids"]) <= 150
        place = record["hidden"][0]
        assert record["question"] == f"What is on page {place['page']}?"
        assert images[place["source"]["doc_id"]][place["source"]["page"] - 1].size == opened[place["page"] - 1].size
        assert place["box"] == [0, 0, 1, 1]
        assert record["depth"] == 0.5 or place["page"] == (1 if record["depth"] == 0 else len(opened))


def test_longer_haystacks_begin_as_shorter_ones_and_share_their_pages(pages):
    needle = load_needle("text")
    [(short, few)], [(long, many)] = (hide(needle, pages, length=length) for length in (9_000, LENGTH))
    drawn = {place["page"] for record in [*few, *many] for place in record["hidden"]}
    same = [number for number in range(1, len(short.pages) + 1) if number not in drawn]
    assert len(short.pages) < len(long.pages)
    assert all(short.pages[number - 1] is long.pages[number - 1] for number in same)
    originals = [pages.page(index).sha256 for index in range(len(long.pages))]
    assert [page.sha256 == originals[index] for index, page in enumerate(long.pages)] == [
        number not in {place["page"] for record in many for place in record["hidden"]}
        for number in range(1, len(long.pages) + 1)
    ]


@pytest.mark.parametrize("kind", ["text", "distractor", "none"])
def test_isolated_needles_are_the_same_needles_alone(kind, pages):
    needle = load_needle(kind)
    [(_, together)] = hide(needle, pages, length=9_000)
    alone = hide(needle, pages, length=9_000, isolated=True)
    assert len(alone) == len(together) == len(DEPTHS)
    for (context, [record]), shared in zip(alone, together):
        assert {key: record[key] for key in ("id", "question", "answer")} == {
            key: shared[key] for key in ("id", "question", "answer")
        }
        assert [place["text"] for place in record["hidden"]] == [place["text"] for place in shared["hidden"]]
        changed = [n for n, page in enumerate(context.pages, 1) if page.sha256 != pages.page(n - 1).sha256]
        assert changed == sorted({place["page"] for place in record["hidden"]})


def test_same_seed_same_pages_other_seed_other_needles(pages):
    first, second, other = (hide(load_needle("text"), pages, seed=seed) for seed in (5, 5, 6))
    assert [page.sha256 for page in first[0][0].pages] == [page.sha256 for page in second[0][0].pages]
    assert first[0][1] == second[0][1]
    assert [r["answer"] for r in first[0][1]] != [r["answer"] for r in other[0][1]]
    assert [r["hidden"][0]["box"] for r in first[0][1]] != [r["hidden"][0]["box"] for r in other[0][1]]


def printed(free):
    """A page of print of which only these rows are empty."""
    grey = np.full((1584, 1224), 60, np.uint8)
    grey[:, ::40] = 255
    grey[slice(*free)] = 255
    return Image.fromarray(grey).convert("RGB")


@pytest.mark.parametrize(
    ("depths", "reached"),
    [([0.53, 0.7], True), ([0.53, 0.55], False), ([0.5, 0.7], False)],
    ids=["within", "past the middle between two depths", "too far"],
)
def test_a_full_page_is_passed_over_for_an_empty_one_within_reach_only(depths, reached):
    images = [printed((0, 0))] * 40
    images[21] = printed((300, 400))  # of 38 pages this one starts at 0.553, the one before at 0.526
    rows = [{"doc_id": "a", "page_sizes": [image.size for image in images], "images": images}]
    (_, [record]), _ = hide(load_needle("text"), haystack(rows), depths=depths, length=98_000, isolated=True)
    [place] = record["hidden"]
    assert record["num_pages"] == 38
    assert (place["page"] == 22) == (place["covered"] == 0) == reached
    assert reached or place["covered"] > MAX_COVERED
    assert abs(place["page_depth"] - depths[0]) <= 0.05


def test_pages_that_cannot_fill_the_context_give_none():
    assert hide(load_needle("text"), length=30_000) == []


def test_refusals(pages):
    by_page = Needle(text="{value}", question="What is on page {page}?")
    with pytest.raises(ValueError, match=r"question is 'What is on page .*, expected a \{key\} in it"):
        hide(by_page, pages)
    with pytest.raises(
        ValueError, match="there are 12 keys, expected 13 for 13 depths in one haystack: give more, or fewer"
    ):
        hide(load_needle("text"), pages, depths=[i / 12 for i in range(13)])
    few = Needle(text="{key} {value}", question="{key}?", values=("yes", "no"))
    with pytest.raises(ValueError, match="there are 2 values, expected 5 for 5 depths"):
        hide(few, pages)


@pytest.mark.parametrize(
    ("size", "length", "reason", "detail"),
    [
        (1.0, 9_000, "no room", r"there is no room for a needle at depth .* make needles smaller"),
        (0.005, LENGTH, "too small to be read", r"capitals would be .* raise the needle's size"),
        (0.05, 30_000, "the pages cannot fill the context", "there are 8: give more documents"),
    ],
)
def test_what_cannot_be_hidden_is_missing_with_its_reason(pages, size, length, reason, detail):
    missing = []
    contexts = hide(load_needle("text", size=size), pages, length=length, missing=missing)
    asked = [record["depth"] for _, records in contexts for record in records]
    assert sorted([*asked, *(needle["depth"] for needle in missing)]) == DEPTHS
    assert {needle["reason"] for needle in missing} == {reason}
    assert all(re.match(detail, needle["detail"]) for needle in missing)
    assert bool(asked) == (reason == "no room")


def test_a_page_too_small_for_a_needle_is_passed_over():
    small = {"doc_id": "small", "page_sizes": [(112, 112)], "images": [tiny.page(0, 112, 112)]}
    documents = [small | {"doc_id": f"small {k}"} for k in range(3)] + DOCUMENTS
    [(_, records)] = hide(load_needle("text"), haystack(documents), missing=(missing := []))
    assert not missing
    assert not [record for record in records if record["hidden"][0]["source"]["doc_id"].startswith("small")]


def test_of_a_needle_without_room_for_all_its_parts_nothing_stays(pages):
    missing = []
    contexts = hide(load_needle("multi", size=0.9), pages, length=9_000, missing=missing)
    assert missing
    changed = [
        page for context, _ in contexts for page, old in zip(context.pages, range(9)) if page != pages.page(old)
    ]
    assert len(changed) == sum(len(record["hidden"]) for _, records in contexts for record in records)
