"""The examination of a recipe, part by part."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from transformers import AutoConfig, PrinterCallback

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.doctor.advice import Adviser
from mmprolong_hf.doctor.device import examine_device
from mmprolong_hf.doctor.findings import NOTE, WRONG, Finding, Part
from mmprolong_hf.doctor.kernels import KernelTime, describe_kernels, describe_other_attention, measure_kernels
from mmprolong_hf.doctor.observer import StepObserver
from mmprolong_hf.doctor.positions import audit_positions, check_pack_positions
from mmprolong_hf.doctor.proofs import check_leaks, check_loss, describe_step
from mmprolong_hf.doctor.speed import describe_timing
from mmprolong_hf.doctor.timing import time_steps
from mmprolong_hf.loader import PartRows, pack_rows
from mmprolong_hf.planning import parts_of
from mmprolong_hf.recipe import parse_recipe
from mmprolong_hf.train import make_trainer
from mmprolong_hf.trainer import MMProLongTrainer

MIN_STEPS = 2
NOTHING_SAVED = {
    "save_strategy": "no",
    "eval_strategy": "no",
    "eval_on_start": "false",
    "load_best_model_at_end": "false",
    "report_to": "none",
    "push_to_hub": "false",
    "logging_strategy": "steps",
    "logging_steps": 1,
    "disable_tqdm": "true",
}


def examine(argv: Sequence[str], steps: int) -> Iterator[Part]:
    """
    Examines what a recipe would train, part by part as it is found; nothing is saved anywhere.

    Args:
        argv (`Sequence[str]`): Of [`~mmprolong_hf.recipe.parse_recipe`]: a recipe and what overrides it.
        steps (`int`): Training steps to take, the first of which is not timed.

    Raises:
        ValueError: when the recipe cannot be read, for fewer than two steps, or with several processes or GPUs.
    """
    if steps < MIN_STEPS:
        raise ValueError(f"--steps is {steps}, expected at least {MIN_STEPS}: the first is not timed")
    _, args, _ = parse_recipe(argv)
    check_alone(args.world_size, args.n_gpu)
    # On the disk of output_dir, whose room the trainer checks
    beside = next(folder for folder in Path(args.output_dir).absolute().parents if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix="mmprolong-doctor-", dir=beside) as folder:
        overrides = {"output_dir": folder, "max_steps": steps} | NOTHING_SAVED
        words = [word for key, value in overrides.items() for word in (f"--{key}", str(value))]
        data, args, model = parse_recipe([*argv, *words])
        args.resume_from_checkpoint = None
        yield examine_device(args)
        try:
            trainer = make_trainer(data, args, model)
        except torch.OutOfMemoryError as error:
            yield _out_of_memory(error)
            return
        except ValueError as error:
            yield Part("Recipe", [Finding("training", f"cannot begin: {error}", WRONG)])
            return
        base = AutoConfig.from_pretrained(model.model_name_or_path, revision=model.model_revision)
        yield from examine_trainer(trainer, base.text_config.max_position_embeddings)


def check_alone(num_processes: int, num_gpus: int) -> None:
    """
    Raises:
        ValueError: with several processes, or several GPUs in this one, over which Trainer would spread every pack.
    """
    if num_processes > 1 or num_gpus > 1:
        raise ValueError(
            f"there are {num_processes} processes with {num_gpus} GPUs each, and doctor examines one process with at most one GPU; "
            "start it by itself, with CUDA_VISIBLE_DEVICES=0"
        )


def examine_trainer(trainer: MMProLongTrainer, first_window: int) -> Iterator[Part]:
    """
    The parts that need the model: data, attention, leaks, a few steps of training, and what to change. Training is not begun
    where samples or positions are wrong.

    Args:
        trainer (`MMProLongTrainer`): With as many `max_steps` as are to be timed, `logging_steps` 1, and nothing saved.
        first_window (`int`): `max_position_embeddings` of the base model.
    """
    rows = first_pack(trainer)
    pack = trainer.data_collator(rows)
    data = Part("Positions", _positions(trainer, pack, first_window))
    yield data
    kernels: list[KernelTime] = []
    attention = trainer.model.config.text_config._attn_implementation
    try:
        if attention == PACKED_ATTENTION:
            kernels = measure_kernels(trainer, pack["layout"])
            findings = describe_kernels(kernels, pack["input_ids"].numel())
        else:
            findings = [describe_other_attention(attention)]
        exact = Part(
            "Attention and loss",
            [*findings, check_leaks(trainer), check_loss(trainer, send_to_device(pack, trainer.args.device))],
        )
        yield exact
        if data.is_wrong or exact.is_wrong:
            yield Part("Speed", [Finding("training", "not begun, because of what is wrong above", NOTE)])
            return
        yield from _examine_training(trainer, kernels)
    except torch.OutOfMemoryError as error:
        yield _out_of_memory(error)


def first_pack(trainer: MMProLongTrainer) -> list[Any]:
    """Encoded samples of the first pack that will be trained."""
    parts = parts_of(trainer.train_dataset, trainer.args)
    pack = trainer.plan(trainer.train_dataset).rank_packs(epoch=0, rank=0)[0]
    return PartRows(trainer.train_dataset).__getitems__(pack_rows(pack, parts))


def _positions(trainer: MMProLongTrainer, pack: dict[str, Any], first_window: int) -> list[Finding]:
    table = trainer.train_dataset.with_format(None)
    samples = table.select(range(len(table) // 2))  # the other half is the same, unsupervised
    window = trainer.model.config.text_config.max_position_embeddings
    findings = audit_positions(samples, window=window, first_window=first_window)
    if rejected := len(trainer.rejections["train"]):
        findings.append(Finding("left out", f"{rejected:,} questions, which are told when training begins", NOTE))
    return [*findings, check_pack_positions(pack, trainer.processing_class.image_processor.merge_size)]


def _examine_training(trainer: MMProLongTrainer, kernels: list[KernelTime]) -> Iterator[Part]:
    seen = StepObserver()
    trainer.add_callback(seen)
    trainer.remove_callback(PrinterCallback)  # what it prints of each step is told below
    try:
        timing = time_steps(trainer)
    finally:
        seen.close()
        trainer.remove_callback(seen)
    yield Part("Active in training", describe_step(seen, trainer.args, trainer.active))
    yield Part("Speed", describe_timing(trainer, timing, seen))
    free = None
    if timing.peak_bytes is not None:
        free = torch.cuda.get_device_properties(trainer.args.device).total_memory - timing.peak_bytes
    yield Adviser(trainer, timing, kernels, free).advise()


def _out_of_memory(error: torch.OutOfMemoryError) -> Part:
    text = (
        f"of the GPU is exhausted: {str(error).partition('. ')[0]}. docs/hardware.md says what fits: --use_peft true with --dtype "
        "bfloat16, a smaller max_length, mlp_tile and vision_chunk, --activation_offloading true, or more GPUs"
    )
    return Part("Memory", [Finding("memory", text, WRONG)])
