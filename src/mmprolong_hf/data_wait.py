"""How long training waits for its packs, and what to do about it."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator

MOST_WAIT = 0.02

logger = logging.getLogger(__name__)


class DataWait:
    """
    The share of the time that one process waits for its next pack.

    Example:

    ```python
    >>> wait = DataWait()
    >>> for pack in wait.timed(iter([1, 2])):
    ...     time.sleep(0.01)
    >>> wait.take(Accelerator(cpu=True))["data_wait"] < 0.5
    True

    ```
    """

    def __init__(self):
        self._num_taken, self._told = 0, False
        self._begin()

    def _begin(self) -> None:
        self._seconds, self._began = 0.0, time.perf_counter()

    def timed(self, packs: Iterator[Any]) -> Iterator[Any]:
        """The same packs; what each `next` takes is added up. Left half-way, it leaves `packs` where it is."""
        while True:
            began = time.perf_counter()
            try:
                pack = next(packs)
            except StopIteration:
                return
            finally:
                self._seconds += time.perf_counter() - began
            yield pack

    def take(self, accelerator: Accelerator) -> dict[str, float]:
        """
        The shares since the last call; every process has to call it. The first time that one is too large, the main process
        warns; not at the first call, because the loader's workers begin with nothing prepared.

        Returns:
            `dict[str, float]`: `data_wait`, of the process that waited longest (the others wait for it), and `data_wait_mean`.
        """
        share = self._seconds / (time.perf_counter() - self._began)
        shares = accelerator.gather(torch.tensor([share], dtype=torch.float64, device=accelerator.device))
        longest, mean = shares.max().item(), shares.mean().item()
        self._num_taken += 1
        if longest > MOST_WAIT and self._num_taken > 1 and not self._told and accelerator.is_main_process:
            self._told = True
            logger.warning(
                f"training waits for its packs {longest:.0%} of the time (data_wait, expected at most {MOST_WAIT:.0%}); raise "
                "dataloader_num_workers, if there are cores for it"
            )
        self._begin()
        return {"data_wait": longest, "data_wait_mean": mean}
