"""Finds documents that overlap a benchmark: by file, by page text, by page image, by question."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from .options import PoolOptions
from .page_image import HASH_BYTES
from .shingle_index import ShingleIndex
from .shingles import WINDOW, sample, shingles, words_of

# A page with fewer sampled shingles (about 40 words) is compared by its image, one with more by its text. Pages that
# both have text are never compared by their images: text tells more, and the images of one template are much alike.
_WORDY = 10
_WORDS_OF_HASH = HASH_BYTES // 8  # 64-bit words


class Match(NamedTuple):
    """
    What a document shares with a benchmark.

    Args:
        reason (`str`): benchmark_file, benchmark_text, benchmark_image or benchmark_question.
        detail (`str`): What was found, and the limit.
        match (`str`): The benchmark's file and page, or its question.
    """

    reason: str
    detail: str
    match: str


class _Images(NamedTuple):
    pages: np.ndarray  # indices, of the pages chosen
    bits: np.ndarray  # (_WORDS_OF_HASH, pages): a row is compared faster than a column

    @classmethod
    def among(cls, images: np.ndarray, chosen: np.ndarray) -> "_Images":
        return cls(np.flatnonzero(chosen), np.ascontiguousarray(images[chosen].T))


class Benchmark:
    """
    What must not be in the pool, ready to be compared with any number of documents.

    It holds 16 bytes for each sampled shingle: about 15 MB for 10,000 pages. A document costs a binary search for
    each of its shingles, and a look at every benchmark page for each of its pages without text (for the others, at
    those without text).

    Args:
        rows (`Iterable[Mapping]`): Of `manifest.POOL_SCHEMA`: its PDFs, scanned with `PoolOptions.for_benchmarks`.
        questions (`Iterable[str]`, *optional*): Its questions.
        unread (`Mapping[str, tuple[str, str]]`, *optional*): Of the PDFs that could not be scanned: source -> reason
            and detail. They are named in the report.

    Example:

    ```python
    >>> asked = "According to the annual report of 2019, how many stations reported rain on more than 100 days?"
    >>> benchmark = Benchmark([], [asked])
    >>> benchmark.question_overlap("How many stations reported rain on more than 100 days in the south?")[0]
    0.5
    >>> benchmark.question_overlap("How many stations were closed?")
    (0.0, '')

    ```
    """

    def __init__(
        self,
        rows: Iterable[Mapping],
        questions: Iterable[str] = (),
        unread: Mapping[str, tuple[str, str]] | None = None,
    ):
        rows = sorted(rows, key=lambda row: row["source"])
        self.files = {row["doc_id"]: row["source"] for row in rows}
        self.unread = dict(unread or {})
        self.questions = sorted(set(questions))
        texts = [text for row in rows for text in page_texts(row)]
        wordy = np.array([len(text) >= _WORDY for text in texts], bool)
        self._pages = [f"{row['source']} page {k}" for row in rows for k in range(1, row["num_pages"] + 1)]
        self._texts = ShingleIndex([text if w else text[:0] for text, w in zip(texts, wordy)])
        images = np.concatenate([np.empty((0, _WORDS_OF_HASH), "<u8"), *map(_page_images, rows)])
        self._pictured = _Images.among(images, images.any(axis=1))
        self._wordless = _Images.among(images, images.any(axis=1) & ~wordy)
        asked = [shingles(words_of(question)) for question in self.questions]
        self._asked = ShingleIndex([np.unique(hashes) for hashes in asked])
        # fewer shingles than a window has need not be sampled from a page as they are here: any of them will do
        self._asked_samples = ShingleIndex([sample(h) if len(h) >= WINDOW else np.unique(h) for h in asked])
        self._short = np.array([len(hashes) < WINDOW for hashes in asked], bool)

    def find(self, row: Mapping, options: PoolOptions) -> Match | None:
        """
        The first thing that a document shares with the benchmark.

        Args:
            row (`Mapping`): Of `manifest.POOL_SCHEMA`.
            options (`PoolOptions`): The limits.
        """
        if row["doc_id"] in self.files:
            name = self.files[row["doc_id"]]
            return Match("benchmark_file", f"it is the benchmark file {name}", name)
        texts = page_texts(row)
        whole = np.unique(np.concatenate(texts))
        return (
            self._find_text(texts, whole, options.text_overlap)
            or self._find_image(row, texts, options.image_distance)
            or self._find_question(whole, options.question_overlap)
        )

    def question_overlap(self, text: str) -> tuple[float, str]:
        """
        How much of a question is that of a benchmark: their common runs of 8 words, as a share of the shorter one's.

        Args:
            text (`str`): A question.

        Returns:
            `tuple[float, str]`: The share, 0 to 1, and the nearest benchmark question (empty where nothing is shared).
        """
        hashes = np.unique(shingles(words_of(text)))
        shares = self._asked.count(hashes) / np.maximum(1, np.minimum(len(hashes), self._asked.sizes))
        if not shares.any():
            return 0.0, ""
        return float(shares.max()), self.questions[shares.argmax()]

    def facts(self) -> dict:
        """What was compared with, for a report. Questions of fewer than 8 words cannot be searched for."""
        return {
            "files": len(self.files),
            "pages": len(self._pages),
            "pages_with_too_little_to_compare": int(
                len(self._pages) - np.union1d(np.flatnonzero(self._texts.sizes), self._pictured.pages).size
            ),
            "questions": len(self.questions),
            "questions_too_short": int((self._asked.sizes == 0).sum()),
            "unread": self.unread,
        }

    def _find_text(self, texts: list[np.ndarray], whole: np.ndarray, limit: float | None) -> Match | None:
        if limit is None or not len(self._pages):
            return None
        shares = self._texts.count(whole) / np.maximum(1, self._texts.sizes)
        best = shares.argmax()
        if shares[best] < limit:
            return None
        page = 1 + int(np.argmax([np.isin(text, self._texts.of(best)).sum() for text in texts]))
        detail = f"it holds {shares[best]:.0%} of the word runs of {self._pages[best]}, most on its page {page}"
        return Match("benchmark_text", f"{detail}; expected less than text_overlap={limit}", self._pages[best])

    def _find_image(self, row: Mapping, texts: list[np.ndarray], limit: int | None) -> Match | None:
        if limit is None:
            return None
        for number, (image, text) in enumerate(zip(_page_images(row), texts), 1):
            others = self._wordless if len(text) >= _WORDY else self._pictured
            if not len(others.pages) or not image.any():
                continue
            distances = sum(
                np.bitwise_count(column ^ bits).astype(np.uint16) for column, bits in zip(others.bits, image)
            )
            if distances.min() <= limit:
                page = self._pages[others.pages[distances.argmin()]]
                detail = f"its page {number} looks like {page} ({distances.min()} of 256 bits differ)"
                return Match("benchmark_image", f"{detail}; expected more than image_distance={limit}", page)
        return None

    def _find_question(self, whole: np.ndarray, limit: float | None) -> Match | None:
        if limit is None or not self.questions:
            return None
        counts, sizes = self._asked_samples.count(whole), self._asked_samples.sizes
        found = np.flatnonzero((counts >= np.where(self._short, 1, limit * sizes)) & (counts > 0))
        if not len(found):
            return None
        question = self.questions[found[0]]
        return Match("benchmark_question", f"it holds the benchmark question {question!r}", question)


def page_texts(row: Mapping) -> list[np.ndarray]:
    """
    The sampled shingles of each page of a row.

    Args:
        row (`Mapping`): Of `manifest.POOL_SCHEMA`.
    """
    return [np.frombuffer(page, "<u8") for page in row["page_shingles"]]


def _page_images(row: Mapping) -> np.ndarray:
    return np.frombuffer(row["page_images"], "<u8").reshape(-1, _WORDS_OF_HASH)
