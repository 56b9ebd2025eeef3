"""What came of each run, compared with the first of its kind, and written down at once."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from training import CUDA, Measurement, Run
from work import Work

# Relative; bfloat16 has 8 bits, and kernels round in different places.
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 5e-3, 0.1


class Results:
    """
    Args:
        folder (`Path`): Where results.jsonl is.
        num_layers (`int`): Of the language model.
        peak_tflops (`float`): Of the device.
    """

    def __init__(self, folder: Path, num_layers: int, peak_tflops: float):
        self.path, self.num_layers, self.peak_flops = folder / "results.jsonl", num_layers, peak_tflops * 1e12
        self.expected: dict[tuple, Measurement] = {}  # the first of each length and training
        self.differing: list[str] = []

    def add(self, run: Run, work: Work, result: Measurement | str, *, lever: bool) -> None:
        """
        Appends and prints a result.

        Args:
            run (`Run`): What was measured.
            work (`Work`): What it had to do.
            result (`Measurement` or `str`): What came of it, or why nothing did.
            lever (`bool`): Whether the run is one of those that change one thing each.
        """
        record = dataclasses.asdict(run) | {
            "lever": lever,
            "tokens": work.tokens,
            "layers": self.num_layers,
            "device": torch.cuda.get_device_name() if CUDA else "CPU",
            "torch": torch.__version__,
        }
        if run.trainer == "ours":
            record["estimated_gib"] = work.memory.total / 2**30
        record |= {"not_measured": result} if isinstance(result, str) else self.figures(run, work, result)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(f"{run.trainer}, {run.training}, {run.length:,}, {run.name}: {_told(record)}", flush=True)

    def figures(self, run: Run, work: Work, result: Measurement) -> dict[str, Any]:
        """What is told of a measurement."""
        expected = self.expected.setdefault((run.length, run.training), result)
        loss = abs(result.loss - expected.loss) / abs(expected.loss)
        gradient = ((result.gradients - expected.gradients).norm() / expected.gradients.norm()).item()
        equal = loss <= LOSS_TOLERANCE and gradient <= GRADIENT_TOLERANCE
        if not equal:
            self.differing.append(f"{run.trainer}, {run.name}, {run.training}, {run.length:,} tokens")
        return {
            "first_seconds": result.first,
            "seconds": result.seconds,
            "tokens_per_second": work.tokens / result.median,
            "mfu": work.model_flops / self.peak_flops / result.median,
            "hfu": work.hardware_flops / self.peak_flops / result.median,
            "peak_gib": result.peak,
            "loss": result.loss,
            "loss_apart": loss,
            "gradient_apart": gradient,
            "equal": equal,
            "active": result.active,
        }


def _told(record: dict[str, Any]) -> str:
    if "not_measured" in record:
        return record["not_measured"]
    return (
        f"{record['tokens_per_second']:,.0f} tokens/s, MFU {record['mfu']:.1%}, HFU {record['hfu']:.1%}, peak "
        f"{record['peak_gib']:.1f} GiB, loss {record['loss']:.5f} ({record['loss_apart']:.0e} apart), gradient "
        f"{record['gradient_apart']:.0e} apart: {'equal' if record['equal'] else 'DIFFERENT'}"
    )
