"""What a document must be to stay in the pool."""

from dataclasses import dataclass, replace

SCANNED = ("reject", "keep")


@dataclass(frozen=True)
class PoolOptions:
    """
    What a document must be to stay in the pool. None or an empty tuple switches a check off.

    Args:
        min_pages (`int`, *optional*, defaults to `20`): Shorter documents are rejected. The paper's pool starts there.
        max_pages (`int`, *optional*, defaults to `200`): Longer documents are rejected. The paper's pool ends there.
        max_pixels (`int`, *optional*, defaults to `40_000_000`): Documents with a larger page image are rejected; A2
            at 200 dpi fits.
        min_characters (`int`, *optional*, defaults to `50`): Mean characters on a page, white space counted once,
            below which a document is nearly empty. The sparsest sound one measured, a slide deck, holds 427.
        scanned (`str`, *optional*, defaults to `"reject"`): What happens to a scan without a layer of text:
            `"reject"`, or `"keep"` where a layout or OCR engine will read it.
        languages (`tuple[str]`, *optional*): ISO 639-1 codes to keep; all if empty.
        max_repeated_pages (`float`, *optional*, defaults to `0.1`): Share of pages that say what an earlier page of
            the same document says. Of 20 sound manuals and papers one repeats a page at all (1 of 109).
        near_duplicates (`float`, *optional*, defaults to `0.8`): Jaccard similarity of word n-grams from which two
            documents are one. Two editions that differ in one word of seventy reach it; two manuals that share a
            licence do not.
        benchmarks (`tuple[str]`, *optional*): Benchmark PDFs, or folders of them, that no document may overlap.
        benchmark_questions (`tuple[str]`, *optional*): Files of benchmark questions: .txt (one a line), .jsonl or
            .parquet (field `question`).
        image_distance (`int`, *optional*, defaults to `40`): Bits of 256 in which the images of two pages may differ
            to be one page. Of pages rasterised anew (72-200 dpi, JPEG quality 50-90) 95 % stay within it; of 1,511
            real pages no two unrelated ones of different documents are closer than 58.
        text_overlap (`float`, *optional*, defaults to `0.7`): Share of a benchmark page's word n-grams that a
            document may not reach. Real manuals that have nothing but a licence notice in common reach 0.67 of a
            page; optical recognition with 4 % wrong words leaves 0.72 of it.
        question_overlap (`float`, *optional*, defaults to `0.8`): The same of a benchmark question. It is higher,
            because questions share their openings.

    Raises:
        ValueError: for a number outside its range, or an unknown value.

    Example:

    ```python
    >>> PoolOptions(languages=("en", "zh")).max_pages
    200
    >>> PoolOptions(near_duplicates=0.1)
    Traceback (most recent call last):
    ...
    ValueError: near_duplicates is 0.1, expected 0.5 to 1.0, or None to switch it off

    ```
    """

    min_pages: int = 20
    max_pages: int = 200
    max_pixels: int = 40_000_000
    min_characters: int = 50
    scanned: str = "reject"
    languages: tuple[str, ...] = ()
    max_repeated_pages: float | None = 0.1
    near_duplicates: float | None = 0.8
    benchmarks: tuple[str, ...] = ()
    benchmark_questions: tuple[str, ...] = ()
    image_distance: int | None = 40
    text_overlap: float | None = 0.7
    question_overlap: float | None = 0.8

    def __post_init__(self):
        for name, least in (("min_pages", 1), ("max_pixels", 1), ("min_characters", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if self.max_pages < self.min_pages:
            raise ValueError(f"max_pages is {self.max_pages}, expected at least min_pages={self.min_pages}")
        if self.scanned not in SCANNED:
            raise ValueError(f"scanned is {self.scanned!r}, expected one of {', '.join(SCANNED)}")
        for name in ("languages", "benchmarks", "benchmark_questions"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a list")
        for name, least, most in (
            ("max_repeated_pages", 0.0, 1.0),
            ("near_duplicates", 0.5, 1.0),  # below, half of the text differs
            ("image_distance", 0, 64),  # unrelated pages are as near as that
            ("text_overlap", 0.05, 1.0),
            ("question_overlap", 0.05, 1.0),
        ):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} is {value}, expected {least} to {most}, or None to switch it off")

    def for_benchmarks(self) -> "PoolOptions":
        """These options for scanning the benchmarks themselves, where every page counts."""
        return replace(self, min_pages=1, max_pages=100_000, min_characters=0, scanned="keep")
