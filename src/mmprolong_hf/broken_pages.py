"""Pages that cannot be read in the middle of training: which they are, who is told, and how many are too many."""

import json
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather, gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

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


class BrokenPages(TrainerCallback):
    """
    What a run has left out because of broken pages: taken from one rank's packs, counted over all ranks, written to
    `rejected_pages.jsonl` by the main process, each page once, also when a run is resumed.

    As a callback it ends training at the end of a step in which a rank has seen too many. Ranks agree on it, so that none ends
    alone and leaves the others waiting.

    Args:
        folder (`str` or `Path`): The run's `output_dir`.

    Raises:
        ValueError: on every rank, when the very first pack of a run misses questions, or more than 5 of 100 packs of a rank do;
            with a checkpoint of that step, unless it is the first.

    Example:

    ```python
    >>> import tempfile
    >>> broken = BrokenPages(tempfile.mkdtemp())
    >>> for step in range(20):
    ...     broken.see({REJECTED: [BrokenPage("a.pdf", 3, "missing", "1 of 4 pages")]} if step == 7 else {}, step)
    >>> broken.take()
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
        self._too_many: str | None = None  # why training has to end, as this rank sees it; from then on, as all do

    def see(self, pack: dict[str, Any], step: int, *, training: bool = True) -> None:
        """
        Takes out of a pack what it says of broken pages, and counts it: the rest is model inputs.

        Args:
            pack (`dict`): From [`~mmprolong_hf.loader.pack_loader`], about to be computed.
            step (`int`): Optimizer steps that are done.
            training (`bool`, *optional*, defaults to `True`): Off for evaluation, whose pages are written down but not limited.
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
            self._too_many = (
                f"{which} had to leave out questions whose pages cannot be read (expected at most {MOST} of {WINDOW} packs), "
                f"the last of them because {rejected[-1]}; mend or remove these documents"
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if not gather(torch.tensor([self._too_many is not None], device=args.device)).any():
            return
        self._too_many = next(reason for reason in gather_object([self._too_many]) if reason is not None)
        if state.global_step == 1:  # nothing has been trained that were worth a checkpoint
            self.take()
            raise ValueError(self._too_many)
        control.should_log = control.should_save = control.should_training_stop = True
        control.should_evaluate = False

    def on_save(self, *args: object, **kwargs: object) -> None:
        if self._too_many is not None:
            raise ValueError(self._too_many)

    def on_evaluate(self, *args: object, **kwargs: object) -> None:
        self.take()

    def on_train_end(self, *args: object, **kwargs: object) -> None:
        self.take()

    def take(self) -> dict[str, float]:
        """
        Writes down the pages that any rank has seen since the last call; every process has to call it.

        Returns:
            `dict[str, float]`: `rejected_questions`, left out of the training of all ranks since then.
        """
        counts = torch.tensor([[self._questions, len(self._pages)]], device=PartialState().device)
        questions, pages = gather(counts).sum(dim=0).tolist()
        if pages:
            rows = gather_object([asdict(page) | {"step": step} for page, step in self._pages.items()])
            if PartialState().is_main_process:
                self._write(rows)
        self.num_questions += questions
        self._questions, self._pages = 0, {}
        return {"rejected_questions": float(questions)}

    def report(self) -> str:
        """What is told when training ends, empty where nothing was left out; every process has to call it."""
        self.take()
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
