"""A folder of PDFs as a haystack: pages are rendered when they are read, and a broken PDF is left out by name."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pypdfium2

from mmprolong_hf.synthesis.images import image_size
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.render import PdfPages
from mmprolong_hf.synthesis.sources import find_pdfs

DPI = 144
MAX_PIXELS = 40_000_000  # a page of more is a poster, and would not fit beside others


class PdfFolder(Sequence):
    """
    The PDFs of a folder as rows with `doc_id`, `page_sizes` and `images`, rendered by PDFium.

    Args:
        folder (`str` or `Path`): Searched with its sub-folders, or a list of paths as
            [`~mmprolong_hf.synthesis.sources.find_pdfs`] reads it.
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch.

    Attributes:
        skipped (`list[dict]`): `source`, `reason` and `detail` of each PDF that is left out.

    Raises:
        ValueError: when there is no PDF, or none that can be used.

    Example:

    ```python
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     document = pypdfium2.PdfDocument.new()
    ...     _ = document.new_page(612, 792)
    ...     document.save(f"{folder}/a.pdf")
    ...     _ = Path(folder, "b.pdf").write_text("not a PDF")
    ...     documents = PdfFolder(folder)
    ...     documents[0]["page_sizes"], documents.skipped[0]["source"], documents.skipped[0]["reason"]
    ([(1224, 1584)], 'b.pdf', 'unreadable')

    ```
    """

    def __init__(self, folder: str | Path, dpi: int = DPI):
        self.dpi = dpi
        self.skipped: list[dict] = []
        self._documents: list[tuple[dict, list[tuple[int, int]]]] = []
        for pdf in find_pdfs(folder):
            try:
                self._documents.append((pdf, _page_sizes(pdf["path"], dpi)))
            except RejectedDocument as rejected:
                skipped = {"source": pdf["source"], "reason": rejected.reason, "detail": rejected.detail}
                self.skipped.append(skipped)
        if not self._documents:
            reasons = ", ".join(f"{pdf['source']} ({pdf['reason']})" for pdf in self.skipped[:5])
            raise ValueError(f"none of the {len(self.skipped)} PDFs of {folder} can be used: {reasons}")

    def __len__(self) -> int:
        return len(self._documents)

    def __getitem__(self, index: int) -> dict:
        pdf, sizes = self._documents[index]
        images = PdfPages(Path(pdf["path"]).read_bytes(), self.dpi, "pypdfium2")
        return {"doc_id": pdf["source"], "page_sizes": sizes, "images": images}


def _page_sizes(path: str, dpi: int) -> list[tuple[int, int]]:
    try:
        with closing(pypdfium2.PdfDocument(path)) as document:
            points = [document.get_page_size(page) for page in range(len(document))]
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument("unreadable", f"it cannot be read ({error}); expected an intact PDF") from error
    if not points:
        raise RejectedDocument("no_pages", "it has no page; expected at least one")
    return [image_size(size, dpi=dpi, max_pixels=MAX_PIXELS, number=n) for n, size in enumerate(points, start=1)]
