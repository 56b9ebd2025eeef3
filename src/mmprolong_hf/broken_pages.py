"""Pages that cannot be read in the middle of training: which they are, who is told, and how many are too many."""

import json
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

REJECTED = (
    "rejected"  # a pack's key for the pages whose questions were left out of it; it has none where all could be read
)
REJECTED_PAGES = "rejected_pages.jsonl"
WINDOW, MOST = 100, 5  # of so many packs in a row, of one rank, so many may miss questions


@dataclass(frozen=True)
class BrokenPage:
    """
    A page that cannot be trained on, for a reason that lies in the dataset's bytes alone: every rank and every resume finds it.

    Args:
        source (`str`): The document, as its row names it.
        page (`int`): 1-based; 0 if the pages are not as many as the row says.
        reason (`str`): `undecodable`, `missing` or `wrong_size`.
        detail (`str`): What was found.
    """

    source: str
    page: int
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"page {self.page} of {self.source} is {self.reason} ({self.detail})"


class BrokenPages:
    """
    What a run has left out because of broken pages: taken from one rank's packs, counted over all ranks, written to
    `rejected_pages.jsonl` by the main process, each page once, also when a run is resumed.

    Args:
        folder (`str` or `Path`): The run's `output_dir`.

    Example:

    ```python
    >>> import tempfile
    >>> broken = BrokenPages(tempfile.mkdtemp())
    >>> for step in range(20):
    ...     broken.see({REJECTED: [BrokenPage("a.pdf", 3, "missing", "1 of 4 pages")]} if step == 7 else {}, step)
    >>> broken.take(Accelerator(cpu=True))
    {'rejected_questions': 1.0}
    >>> (broken.folder / REJECTED_PAGES).read_text()
    '{"source": "a.pdf", "page": 3, "reason": "missing", "detail": "1 of 4 pages", "step": 7}\\n'

    ```
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.num_questions = 0  # of all ranks, since this process began
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._questions = 0
        self._pages: dict[BrokenPage, int] = {}  # with the step of each, since they were last taken
        self._written: set[tuple] | None = None

    def see(self, pack: dict[str, Any], step: int, *, training: bool = True) -> None:
        """
        Takes out of a pack what it says of broken pages: the rest is model inputs.

        Args:
            pack (`dict`): From [`~mmprolong_hf.loader.pack_loader`], about to be computed.
            step (`int`): Optimizer steps that are done.
            training (`bool`, *optional*, defaults to `True`): Off for evaluation, whose pages are written down but not limited.

        Raises:
            ValueError: when the very first pack of a run misses questions, or more than 5 of 100 packs do.
        """
        rejected = pack.pop(REJECTED, [])
        for page in rejected:
            self._pages.setdefault(page, step)
        if not training:
            return
        is_first = step == 0 and not self._recent
        self._recent.append(bool(rejected))
        self._questions += len(rejected)
        if rejected and (is_first or sum(self._recent) > MOST):
            which = "the first pack of the run" if is_first else f"{sum(self._recent)} of {len(self._recent)} packs"
            raise ValueError(
                f"{which} had to leave out questions whose pages cannot be read (expected at most {MOST} of {WINDOW} packs), "
                f"the last of them because {rejected[-1]}; mend or remove these documents"
            )

    def take(self, accelerator: Accelerator) -> dict[str, float]:
        """
        Writes down the pages that any rank has seen since the last call; every process has to call it.

        Returns:
            `dict[str, float]`: `rejected_questions`, left out of the training of all ranks since then.
        """
        counts = torch.tensor([[self._questions, len(self._pages)]], device=accelerator.device)
        questions, pages = accelerator.gather(counts).sum(dim=0).tolist()
        if pages:
            rows = gather_object([asdict(page) | {"step": step} for page, step in self._pages.items()])
            if accelerator.is_main_process:
                self._write(rows)
        self.num_questions += questions
        self._questions, self._pages = 0, {}
        return {"rejected_questions": float(questions)}

    def report(self, accelerator: Accelerator) -> str:
        """What is told when training ends, empty where nothing was left out; every process has to call it."""
        self.take(accelerator)
        if not self.num_questions:
            return ""
        return (
            f"{self.num_questions} question{'s'[: self.num_questions != 1]} left out of training, whose pages could not be read: "
            f"{self.folder / REJECTED_PAGES} names them"
        )

    def _write(self, rows: list[dict]) -> None:
        path = self.folder / REJECTED_PAGES
        if self._written is None:
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            self._written = {_key(json.loads(line)) for line in lines}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for row in rows:
                if _key(row) not in self._written:
                    self._written.add(_key(row))
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _key(row: dict) -> tuple:
    return row["source"], row["page"], row["reason"]
