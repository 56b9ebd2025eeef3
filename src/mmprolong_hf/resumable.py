"""A trainer that survives: what it saves is whole or nothing, and it goes on from what it saved exactly."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from transformers.trainer_utils import TrainOutput
from trl import SFTConfig, SFTTrainer

from mmprolong_hf.checkpoints import (
    check_room,
    checkpoints,
    complete,
    last_complete,
    mark_complete,
    num_bytes,
    raised_on_all_ranks,
    remove,
    rotate,
    written_whole,
)
from mmprolong_hf.encoding import save_processor
from mmprolong_hf.fsdp import set_up_fsdp
from mmprolong_hf.old_readers import write_for_old_readers
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.preemption import StopOnSignal
from mmprolong_hf.resume import check_resume, describe_training, resolve, write_plan
from mmprolong_hf.rope import write_both_formats


class ResumableTrainer(SFTTrainer):
    """
    Saves and loads for [`~mmprolong_hf.trainer.MMProLongTrainer`].

    - A checkpoint counts when its last file, the marker, is there; until then the one before is kept.
    - SIGTERM and SIGUSR1 end training after the step, with a checkpoint (see [`~mmprolong_hf.preemption.StopOnSignal`]).
    - Under FSDP checkpoints are sharded, each rank writing its part; the final one is whole, as `from_pretrained` reads it.
    - All nodes need one file system for `output_dir`: rank 0 marks as whole the files that it sees, and every node reads them.

    Args:
        args (`SFTConfig`): Where and how often to save, and how many to keep.
        kwargs: As for `SFTTrainer`.

    Raises:
        ValueError: for `enable_jit_checkpoint`, and as [`~mmprolong_hf.fsdp.set_up_fsdp`].
    """

    def __init__(self, *, args: SFTConfig, **kwargs: Any):
        if args.enable_jit_checkpoint:
            raise ValueError(
                "enable_jit_checkpoint is on, with which a rank saves in the middle of a step and without the others; leave it "
                "off: SIGTERM and SIGUSR1 save a checkpoint at the end of the step anyway"
            )
        super().__init__(args=args, **kwargs)
        self.stop = StopOnSignal()
        self.add_callback(self.stop)
        if self.is_fsdp_enabled:
            set_up_fsdp(self.accelerator.state.fsdp_plugin, self.model, self.accelerator.mixed_precision)

    def plan(self, dataset: Any, *, training: bool = True) -> PackingPlan:
        """The plan over a dataset, whose steps a checkpoint counts."""
        raise NotImplementedError

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """
        As `Trainer.train`, but `"last"` is what it is in a recipe, and without an argument `args.resume_from_checkpoint` counts.

        Raises:
            ValueError: as [`~mmprolong_hf.resume.resolve`], [`~mmprolong_hf.resume.check_resume`] and `check_room`.
        """
        output_dir, resume = self.args.output_dir, resume_from_checkpoint
        resume = self.args.resume_from_checkpoint if resume is None else "last" if resume is True else resume
        if resume:
            resume = resolve(output_dir, resume)
        elif found := complete(output_dir):
            PartialState().print(
                f"training begins anew; {', '.join(folder.name for folder in found)} in {output_dir} stay until rotated "
                "(save_total_limit); to go on with the one written last: --resume_from_checkpoint last"
            )
        self.check_room()
        with self.stop:
            return super().train(resume, *args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # Resumed at its end, where Trainer would train one step more
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)

    def _finalize_training(self, *args: Any, **kwargs: Any) -> TrainOutput:
        if self.stop.stopped_by is None:
            return super()._finalize_training(*args, **kwargs)
        # Trainer would load the best model, for nothing, and with a limit of 1 delete all but its checkpoint: the signal's too
        with _set_to(self.args, load_best_model_at_end=False, save_total_limit=None):
            return super()._finalize_training(*args, **kwargs)

    # -- room on the disk --

    def check_room(self) -> None:
        """
        Raises:
            ValueError: when the checkpoints that this run will keep, and the final one, do not fit on the disk of `output_dir`.
        """
        args, size = self.args, self._checkpoint_bytes()
        at_once = self._num_saves()
        if args.save_total_limit:
            at_once = min(at_once, args.save_total_limit + 1)  # the oldest goes when the newest is complete
        missing = max(at_once - len(checkpoints(args.output_dir)), min(at_once, 1))
        with raised_on_all_ranks("before training"):
            if args.should_save:
                purpose = f"{missing} checkpoints of {size / 1e9:,.2f} GB each and the trained model"
                check_room(args.output_dir, missing * size + self._weight_bytes(), purpose)

    def _num_saves(self) -> int:
        args, epoch = self.args, self.plan(self.train_dataset).steps_per_epoch
        steps = args.max_steps if args.max_steps > 0 else math.ceil(epoch * args.num_train_epochs)
        every = args.save_steps if args.save_steps >= 1 else math.ceil(args.save_steps * steps)
        return {"no": 0, "steps": math.ceil(steps / every), "epoch": math.ceil(steps / epoch)}.get(
            args.save_strategy.value, 1
        )

    def _checkpoint_bytes(self) -> int:
        """As the last complete one; before there is one, weights and AdamW's two moments (other optimizers: weights alone)."""
        last, _ = last_complete(self.args.output_dir)
        if last is not None:
            return num_bytes(last)
        moments = 2 if self.args.optim.startswith("adamw_torch") and not self.args.save_only_model else 0
        return self._weight_bytes() + moments * _bytes(p for p in self.model.parameters() if p.requires_grad)

    def _weight_bytes(self) -> int:
        lora = isinstance(self.model, PeftModel)
        return _bytes(p for p in self.model.parameters() if p.requires_grad or not lora)

    # -- save --

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        folder = Path(self._get_output_dir(trial), f"checkpoint-{self.state.global_step}")
        last, _ = last_complete(folder.parent)
        kept = "there is no complete checkpoint yet" if last is None else f"the last complete checkpoint is {last}"
        with raised_on_all_ranks(f"{folder} was not written, {kept}"):
            if self.args.should_save:
                remove(folder)  # an incomplete one, or one of a run that went on from an earlier step
                check_room(folder, self._checkpoint_bytes(), "the files of a checkpoint")
        try:
            with raised_on_all_ranks(f"{folder} could not be written, {kept}"):
                self._write_checkpoint(folder, model, trial)
        except RuntimeError:
            if self.args.should_save:
                remove(folder)
            raise
        with raised_on_all_ranks(f"{folder} could not be completed, {kept}"):
            if self.args.should_save:
                mark_complete(folder)
                rotate(folder.parent, self.args.save_total_limit, self.state.best_model_checkpoint)

    def _write_checkpoint(self, folder: Path, model: torch.nn.Module, trial: Any) -> None:
        with _set_to(self.args, save_total_limit=None):  # Trainer would delete older ones now
            super()._save_checkpoint(model, trial)
        if self.is_fsdp_enabled and self.args.should_save:  # Trainer comes to _save for a whole state alone
            self._save_description(folder)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not self.is_fsdp_enabled or _internal_call:
            super().save_model(output_dir, _internal_call=True)  # Trainer would push what a user saves
            return
        # On rank 0, gathered from all of them; of LoRA what is trained, for its base is not saved
        options = StateDictOptions(
            full_state_dict=True, cpu_offload=True, ignore_frozen_params=isinstance(self.model, PeftModel)
        )
        state = get_model_state_dict(self.model, options=options)
        for name in self.model.all_tied_weights_keys:  # copies by now
            state.pop(name, None)
        with raised_on_all_ranks(f"{output_dir or self.args.output_dir} could not be written"):
            self._save(output_dir, state_dict=state)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if not self.args.should_save:  # every rank comes here
            return
        with written_whole(Path(self.args.output_dir if output_dir is None else output_dir)) as folder:
            super()._save(str(folder), state_dict)
            self._save_description(folder)

    def _save_description(self, folder: Path) -> None:
        """Everything beside weights: config, for readers old and new, processor, and the plan that the steps are of."""
        save_processor(self.processing_class, folder)
        # An adapter's too: its base, as extended; an adapter is wrong on the base's own config
        self.model.config.save_pretrained(folder)
        write_both_formats(folder)
        write_for_old_readers(folder)
        write_plan(folder, self.plan(self.train_dataset), self._about())

    # -- load --

    def check_resumable(self, folder: str) -> None:
        """Whether this run can go on from a checkpoint; raises as [`~mmprolong_hf.resume.check_resume`]."""
        rope = self.model.config.text_config.rope_parameters
        kind = "deepspeed" if self.is_deepspeed_enabled else "fsdp" if self.is_fsdp_enabled else "plain"
        check_resume(folder, self.plan(self.train_dataset), self._about(), rope, kind=kind)

    def _about(self) -> dict[str, str]:
        described = describe_training(self.args, self.model, self.processing_class)
        return described | {"questions": self.questions_digest}

    # Qwen2.5-VL's weights are saved under the names of its published checkpoints (visual.*, model.*) and renamed by
    # from_pretrained. Trainer reads the file as it is, finds no name it knows, warns, and goes on from the initial weights
    # (huggingface/transformers#43701). Both overrides may go when it loads what it saved.
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        with raised_on_all_ranks("resume_from_checkpoint"):
            self.check_resumable(resume_from_checkpoint)
        with raised_on_all_ranks(f"{resume_from_checkpoint} could not be loaded"):
            if isinstance(self.model, PeftModel) or self.is_fsdp_enabled or self.is_deepspeed_enabled:
                super()._load_from_checkpoint(resume_from_checkpoint, model)
            else:
                self._load_weights(resume_from_checkpoint)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with raised_on_all_ranks(f"{checkpoint} could not be loaded"):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_best_model(self) -> None:
        if isinstance(self.model, PeftModel) or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
        else:
            self._load_weights(self.state.best_model_checkpoint)

    def _load_weights(self, folder: str) -> None:
        saved = type(self.model).from_pretrained(folder, dtype=self.model.dtype)
        self.model.load_state_dict(saved.state_dict())


@contextmanager
def _set_to(args: SFTConfig, **values: Any) -> Iterator[None]:
    before = {name: getattr(args, name) for name in values}
    vars(args).update(values)
    try:
        yield
    finally:
        vars(args).update(before)


def _bytes(parameters: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)
