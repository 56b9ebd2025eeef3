"""Rows of a dataset with their page images as stored: encoded, or inside a PDF."""

from collections.abc import Sequence
from io import BytesIO

from datasets import Dataset
from PIL import Image

from mmprolong_hf.synthesis.render import PdfPages


class UndecodedRows(Sequence):
    """
    Rows of a dataset with their images as stored, to be opened one by one: a plain row of a long document decodes all its pages.

    In the compact form, where a row has no images but the `pdf` itself, its `images` are the pages rendered when they are opened.

    Args:
        dataset (`Dataset`): With a column `images`.
    """

    def __init__(self, dataset: Dataset):
        self.rows = dataset.with_format("arrow")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        row = self.rows[index].to_pylist()[0]
        if row.get("pdf") and not row["images"]:
            row["images"] = PdfPages(row["pdf"], row["dpi"], row["engine"], row["image_format"])
        return row


def decode_image(image: dict | Image.Image) -> Image.Image:
    """
    A page image of a dataset row, whether its column is decoded or holds encoded bytes.

    Example:

    ```python
    >>> decode_image(Image.new("RGB", (4, 3))).size
    (4, 3)

    ```
    """
    return image if isinstance(image, Image.Image) else Image.open(BytesIO(image["bytes"]))
