"""What a row says against its document."""

import pytest

from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.pool.quality import flaw

SOUND = {
    "num_pages": 30, "characters": 30_000, "scanned_pages": 0, "repeated_pages": 0, "language": "en",
    "language_confidence": 0.98,
}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "options", "reason"),
    [
        ({}, {}, None),
        ({"num_pages": 19}, {}, "too_few_pages"),
        ({"num_pages": 201}, {}, "too_many_pages"),
        ({"characters": 1500}, {}, None),
        ({"characters": 1499}, {}, "nearly_empty"),
        ({"characters": 1499, "scanned_pages": 15}, {}, "scanned"),
        ({"characters": 1499, "scanned_pages": 14}, {"scanned": "keep"}, "nearly_empty"),
        ({"characters": 1499, "scanned_pages": 15}, {"scanned": "keep"}, None),
        ({"characters": 1500, "scanned_pages": 30}, {}, None),  # it has a layer of text
        ({"repeated_pages": 3}, {}, None),
        ({"repeated_pages": 4}, {}, "repeated_pages"),
        ({"repeated_pages": 4}, {"max_repeated_pages": None}, None),
        ({}, {"languages": ("en",)}, None),
        ({}, {"languages": ("de", "fr")}, "wrong_language"),
        ({"language": "und"}, {"languages": ("de",)}, "wrong_language"),
        ({"language": "und", "characters": 9, "scanned_pages": 30}, {"languages": ("de",), "scanned": "keep"}, None),
    ],
)
def test_reasons(row, options, reason):
    found = flaw(SOUND | row, PoolOptions(**options))
    assert (found and found[0]) == reason


def test_the_detail_says_what_was_found_and_expected():
    found = flaw(SOUND, PoolOptions(languages=("de", "fr")))
    assert found[1] == "its language is en (98% certain); expected one of de, fr"
