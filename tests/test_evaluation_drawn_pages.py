"""drawn_pages.py: a haystack out of nothing, the same every time, of plain words and no needle's."""

import numpy as np
import pytest

from mmprolong_hf.evaluation.drawn_pages import MARGIN, PAGE_SIZE, DrawnDocuments, _language
from mmprolong_hf.evaluation.needle_kinds import KEYS, WORDS
from mmprolong_hf.rows import decode_image


def test_pages_are_printed_within_their_margins_and_differ():
    documents = DrawnDocuments(num_documents=3, num_pages=4)
    pages = [decode_image(page) for row in documents for page in row["images"]]
    assert len({page.tobytes() for page in pages}) == 12
    for page in pages:
        assert page.size == PAGE_SIZE
        dark = np.argwhere(np.asarray(page.convert("L")) < 192)
        assert (dark.min(0) >= MARGIN - 4).all()
        assert (dark.max(0) <= (PAGE_SIZE[1] - MARGIN, PAGE_SIZE[0] - MARGIN)).all()
        assert len(dark) > 5000


def test_a_page_is_the_same_each_time_and_in_any_number_of_documents():
    first, second = DrawnDocuments(2, 2)[1]["images"][1], DrawnDocuments(9, 5)[1]["images"][1]
    assert first["bytes"] == second["bytes"]


def test_no_page_says_a_word_of_a_needle():
    language = _language()
    assert not {word for name in ("nouns", "adjectives", "verbs") for word in language[name]} & {*KEYS, *WORDS}


def test_refusals():
    with pytest.raises(ValueError, match="0 documents of 12 pages, expected at least one of each"):
        DrawnDocuments(0)
    with pytest.raises(IndexError, match="document 2 of 2"):
        DrawnDocuments(2)[2]
