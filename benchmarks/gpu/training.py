"""Steps of our trainer and of TRL's own on inputs made beforehand, timed; running out of memory is a result."""

import gc
import resource
import statistics
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from paged_document import PagedDocument, one_page_dataset
from random_document import LORA, make_model, trained
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProcessorMixin, Qwen2_5_VLConfig, TrainerCallback
from trl import SFTConfig, SFTTrainer

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.trainer import MMProLongTrainer

OUT_OF_MEMORY = "out of memory"
CUDA = torch.cuda.is_available()
SAMPLED = 4096  # numbers of each weight's gradient that are kept, at least
# Of all trainers. At a rate of 0 every step has the same gradient; nothing is clipped, so that gradients are seen as they are.
COMMON = {
    "learning_rate": 0.0, "max_grad_norm": 1e9, "optim": "adamw_torch_fused", "weight_decay": 0.0, "bf16": True,
    "activation_checkpointing": True, "max_length": None, "logging_steps": 1, "save_strategy": "no", "report_to": "none",
    "disable_tqdm": True, "use_cpu": not CUDA, "logging_nan_inf_filter": False,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """
    What is measured.

    Args:
        trainer (`str`): "ours" or "stock".
        training (`str`): "lora" or "full".
        length (`int`): Most tokens of the document.
        name (`str`): In the table.
        options (`dict`): Of [`MMProLongConfig`], and `uint8_pixels`; of TRL's own, `attn_implementation`.
    """

    trainer: str
    training: str
    length: int
    name: str
    options: dict[str, Any] = field(hash=False)

    @property
    def lora(self) -> bool:
        return self.training == "lora"


@dataclass
class Measurement:
    """
    Args:
        first (`float`): Seconds of the step before them, of the same length, in which kernels are compiled and chosen and memory is
            allocated.
        seconds (`list[float]`): Of each step, which is its inputs' way to the device, forward, backward, clipping and AdamW.
        peak (`float`): GiB.
        loss (`float`): Of the last step.
        gradients (`torch.Tensor`): Some numbers of each weight's.
        active (`dict`): What our trainer says is on.
    """

    first: float
    seconds: list[float]
    peak: float
    loss: float
    gradients: torch.Tensor
    active: dict[str, str]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class StepTimer(TrainerCallback):
    """Times every step, the first, which is there to warm up, apart, and keeps gradients of the last."""

    def __init__(self, deadline: float):
        self.deadline, self.first, self.seconds, self.gradients = deadline, None, [], None

    def on_step_begin(self, args, state, control, **kwargs):
        if self.first is not None and not self.seconds and CUDA:
            torch.cuda.reset_peak_memory_stats()
        self.began = now()

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        if self.first is None:
            return
        stopped = now()
        self.gradients = torch.cat([_some(parameter.grad) for parameter in trained(model)])
        self.began += now() - stopped

    def on_step_end(self, args, state, control, **kwargs):
        seconds = now() - self.began
        if self.first is None:
            self.first = seconds
            return
        self.seconds.append(seconds)
        control.should_training_stop = time.monotonic() + seconds > self.deadline


def _some(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.flatten()[:: max(1, gradient.numel() // SAMPLED)].float().cpu()


def now() -> float:
    """Seconds, when the device has done all; without one, of CPU time."""
    if not CUDA:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


class Prepared:
    """A trainer whose batches have been made already."""

    def prepare(self, batches: list[dict[str, Any]]) -> None:
        self.batches = batches

    def get_train_dataloader(self) -> DataLoader:
        return DataLoader(self.batches, batch_size=1, collate_fn=_only, pin_memory=CUDA)


def _only(batches: list[dict[str, Any]]) -> dict[str, Any]:
    return batches[0]


class OurTrainer(Prepared, MMProLongTrainer):
    """MMProLongTrainer, all but its loader."""


class StockTrainer(Prepared, SFTTrainer):
    """TRL's SFTTrainer, all but its loader."""


class Bench:
    """
    Measures runs, each with a new model.

    Args:
        config (`Qwen2_5_VLConfig`): Of the model.
        processor (`ProcessorMixin`): From [`~paged_document.make_processor`].
        grid (`tuple[int, int]`): Patches of a page.
        short (`int`): Tokens of the document that trainers are made with; none is trained on it.
    """

    def __init__(self, config: Qwen2_5_VLConfig, processor: ProcessorMixin, grid: tuple[int, int], short: int):
        self.config, self.processor, self.grid = config, processor, grid
        self.device = torch.device("cuda" if CUDA else "cpu")
        self.short, self._document = self.document(short), None

    def document(self, length: int) -> PagedDocument:
        return PagedDocument(self.processor, self.grid, length)

    def long(self, length: int) -> PagedDocument:
        """The document of a length; the last one asked for is kept."""
        if self._document is None or self._document[0] != length:
            self._document = length, self.document(length)
        return self._document[1]

    def measure(self, run: Run, repeats: int, deadline: float) -> Measurement | str:
        """
        The measurement, or why there is none: "out of memory", or what was raised.

        Args:
            run (`Run`): What is measured.
            repeats (`int`): Steps that are timed, after one that is not counted among them.
            deadline (`float`): Of `time.monotonic`; a step that would end later is not begun, but one is timed at least.

        Raises:
            RuntimeError: when the device does not answer after an error, so that nothing more can be measured.
        """
        result = None
        try:
            result = self._measure(run, repeats, deadline)
        except Exception as error:  # a lever that is refused here, a kernel that fails: a result as well
            result = OUT_OF_MEMORY if _is_out_of_memory(error) else f"{type(error).__name__}: {_first_line(error)}"
            if not isinstance(error, ValueError) and result != OUT_OF_MEMORY:
                traceback.print_exc()
        if CUDA:  # the trainer and its model refer to each other
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.synchronize()
        return result

    def _measure(self, run: Run, repeats: int, deadline: float) -> Measurement:
        with tempfile.TemporaryDirectory() as folder:
            trainer = (self._ours if run.trainer == "ours" else self._stock)(run, 1 + repeats, folder)
            timer = StepTimer(deadline)
            trainer.add_callback(timer)
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            peak = (
                torch.cuda.max_memory_allocated()
                if CUDA
                else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            )
            loss = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1]
            active = trainer.active if run.trainer == "ours" else {"attention": run.options["attn_implementation"]}
            return Measurement(timer.first, timer.seconds, peak / 2**30, loss, timer.gradients, active)

    def _ours(self, run: Run, steps: int, folder: str) -> OurTrainer:
        options = dict(run.options)
        uint8 = options.pop("uint8_pixels")
        common = COMMON | {"max_length": run.length, "packs_per_step": 1, "vision_learning_rate": None}
        trainer = OurTrainer(
            model=make_model(self.config, self.device),
            args=MMProLongConfig(output_dir=folder, max_steps=steps, **common | options),
            train_dataset=one_page_dataset(self.short.drawn[0]),
            processing_class=self.processor,
            peft_config=LORA if run.lora else None,
        )
        trainer.prepare([self.long(run.length).ours(uint8=uint8) for _ in range(steps)])
        return trainer

    def _stock(self, run: Run, steps: int, folder: str) -> StockTrainer:
        trainer = StockTrainer(
            model=make_model(self.config, self.device, run.options["attn_implementation"]),
            args=SFTConfig(output_dir=folder, max_steps=steps, per_device_train_batch_size=1, **COMMON),
            train_dataset=Dataset.from_list([self.short.row()]),
            processing_class=self.processor,
            peft_config=LORA if run.lora else None,
        )
        trainer.prepare([self.long(run.length).stock(trainer.data_collator) for _ in range(steps)])
        return trainer


def _is_out_of_memory(error: Exception) -> bool:
    # cuBLAS and the CPU's allocator have errors of their own
    words = (OUT_OF_MEMORY, "ALLOC_FAILED", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
