"""What was trained since the last line of the log, over all processes."""

import time

import torch
from accelerate import Accelerator

from mmprolong_hf.data_wait import DataWait


class Tally:
    """
    Counts what one process trains, until the counts of all are taken for a line of the log.

    Example:

    ```python
    >>> tally = Tally()
    >>> tally.add(torch.tensor(900), torch.tensor(12), 3, torch.tensor(True), torch.tensor(310))
    >>> tally.add(torch.tensor(700), torch.tensor(30), 8, torch.tensor(True), torch.tensor(250))
    >>> figures = tally.take(Accelerator(cpu=True), max_length=1000)
    >>> figures["supervised_tokens"], figures["questions"], figures["fill"], figures["largest_position"]
    (42.0, 11.0, 0.8, 310)

    ```
    """

    def __init__(self):
        self.wait = DataWait()
        self._begin()

    def _begin(self) -> None:
        self._counts = torch.zeros(4, dtype=torch.float64)  # tokens, supervised tokens, questions, packs
        self._largest_position = torch.zeros((), dtype=torch.int64)
        self._began = time.perf_counter()

    def add(
        self,
        num_tokens: torch.Tensor,
        num_supervised: torch.Tensor,
        num_questions: int,
        counts: torch.Tensor,
        position: torch.Tensor,
    ) -> None:
        """
        Count a pack.

        Args:
            num_tokens (`torch.Tensor` of shape `()`): Of the pack, 0 if it does not count.
            num_supervised (`torch.Tensor` of shape `()`): Those of answers.
            num_questions (`int`): In the pack.
            counts (`torch.Tensor` of shape `()`): Whether it is a pack of the plan, and no filler.
            position (`torch.Tensor` of shape `()`): The largest in time, height or width.
        """
        self._counts += (
            torch.stack([num_tokens, num_supervised, num_questions * counts, counts.long()])
            .double()
            .to(self._counts.device)
        )
        self._largest_position = torch.maximum(self._largest_position, position.cpu())

    def take(self, accelerator: Accelerator, max_length: int) -> dict[str, float]:
        """
        The figures of all processes, which begin anew; every process has to take them.

        Args:
            accelerator (`Accelerator`): Of the trainer.
            max_length (`int`): Tokens of a full pack.

        Returns:
            `dict[str, float]`: `supervised_tokens`, `questions`, `fill` (share of `max_length`), `largest_position`,
            `tokens_per_second`, `questions_per_second`, and those of [`~mmprolong_hf.data_wait.DataWait`].
        """
        gathered = accelerator.gather(self._counts[None].to(accelerator.device))
        tokens, supervised, questions, packs = gathered.sum(dim=0).tolist()
        largest = accelerator.gather(self._largest_position[None].to(accelerator.device)).max().item()
        seconds = time.perf_counter() - self._began
        self._begin()
        return {
            "supervised_tokens": supervised,
            "questions": questions,
            # No pack is left where every page was broken
            "fill": tokens / (packs * max_length) if packs else 0.0,
            "largest_position": largest,
            "tokens_per_second": tokens / seconds,
            "questions_per_second": questions / seconds,
        } | self.wait.take(accelerator)
