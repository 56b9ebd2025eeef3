"""What the options of the pool refuse."""

import pytest

from mmprolong_hf.synthesis.pool.options import PoolOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_pages": 0}, "min_pages is 0, expected at least 1"),
        ({"min_pages": 30, "max_pages": 29}, "max_pages is 29, expected at least min_pages=30"),
        ({"min_characters": -1}, "min_characters is -1, expected at least 0"),
        ({"scanned": "ocr"}, "scanned is 'ocr', expected one of reject, keep"),
        ({"languages": "en"}, "languages is 'en', expected a list"),
        ({"benchmarks": "folder"}, "benchmarks is 'folder', expected a list"),
        ({"near_duplicates": 80}, "near_duplicates is 80, expected 0.5 to 1.0, or None"),
        ({"max_repeated_pages": -0.1}, "max_repeated_pages is -0.1, expected 0.0 to 1.0"),
        ({"image_distance": 128}, "image_distance is 128, expected 0 to 64"),
        ({"text_overlap": 0.0}, "text_overlap is 0.0, expected 0.05 to 1.0"),
        ({"question_overlap": 2.0}, "question_overlap is 2.0, expected 0.05 to 1.0"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PoolOptions(**values)


def test_benchmarks_are_scanned_whatever_they_are():
    options = PoolOptions(min_pages=32, max_pages=50, languages=("en",)).for_benchmarks()
    assert (options.min_pages, options.min_characters, options.scanned) == (1, 0, "keep")
    assert options.max_pages > 1000
