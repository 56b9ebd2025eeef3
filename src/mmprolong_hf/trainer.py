"""TRL's SFTTrainer on packs of long documents: the plan decides the batches, the collator keeps samples apart, the loss is exact."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, ProcessorMixin
from transformers.trainer_utils import TrainOutput

from mmprolong_hf.broken_pages import BrokenPages
from mmprolong_hf.checkpoints import raised_on_all_ranks
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.leak import measure_leak, telling_samples
from mmprolong_hf.levers import activate_attention, pull_levers
from mmprolong_hf.loader import pack_loader
from mmprolong_hf.models import check_attention, check_loaded, freeze, set_vision_learning_rate, trained_parts
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.planning import encode_documents, parts_of, plan_of, steps_for_questions, tokens_until, total_until
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.publishable import PublishableTrainer
from mmprolong_hf.resume import digest_questions
from mmprolong_hf.tally import Tally

# Packed samples that are kept apart move by exactly 0; samples that see each other by 0.2 and more.
MAX_LEAK = 1e-3


class MMProLongTrainer(PublishableTrainer):
    """
    Trains a vision-language model on documents with questions.

    Args:
        model (`PreTrainedModel`): From [`~mmprolong_hf.models.load_model`].
        args (`MMProLongConfig`): The recipe.
        train_dataset (`Dataset`): One row per document, as `load_dataset` gives a published set.
        eval_dataset (`Dataset`, *optional*): The same for evaluation.
        fill_dataset (`Dataset`, *optional*): The same; its samples only fill the room that packs have left.
        processing_class (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        kwargs: As for `SFTTrainer`, `peft_config` among them, and [`~mmprolong_hf.publishable.PublishableTrainer`].

    Raises:
        ValueError: when columns are missing, no sample is left, or documents are shared and the model's attention cannot do that.
        RuntimeError: before the first step, when the samples of a pack see each other.
    """

    _tag_names = ["mmprolong_hf", "trl", "sft"]  # noqa: RUF012, TRL's attribute
    _name = "MMProLong"

    def __init__(
        self,
        model: PreTrainedModel,
        args: MMProLongConfig,
        train_dataset: Dataset,
        processing_class: ProcessorMixin,
        eval_dataset: Dataset | None = None,
        fill_dataset: Dataset | None = None,
        **kwargs: Any,
    ):
        if isinstance(eval_dataset, dict):
            raise ValueError(
                "eval_dataset is a dict, expected one dataset; call evaluate(dataset, metric_key_prefix=...) for each further one"
            )
        self.rejections, self.questions_digest = {}, digest_questions(train_dataset)
        merge_size = processing_class.image_processor.merge_size
        check_loaded(model, processing_class, args)
        super().__init__(
            model=model,
            args=args,
            data_collator=PackCollator(merge_size),
            train_dataset=self._encode(train_dataset, "train", args, processing_class, fill=fill_dataset),
            eval_dataset=None if eval_dataset is None else self._encode(eval_dataset, "eval", args, processing_class),
            processing_class=processing_class,
            **kwargs,
        )
        for dataset in (self.train_dataset, self.eval_dataset):
            if dataset is not None:
                check_attention(self.model.config, parts_of(dataset, args))
        if args.max_questions is not None and args.max_steps <= 0:
            plan = self.plan(self.train_dataset)
            self.args.max_steps = steps_for_questions(plan, parts_of(self.train_dataset, args), args.max_questions)
        freeze(self.model, args)  # adapters included, where super() added them
        with raised_on_all_ranks("before training"):
            self.active = pull_levers(self.model, args, processing_class)  # what is told when training begins
        self.active["trained"] = trained_parts(self.model)
        # Qwen-VL models say False, and Trainer would average each micro-batch by itself. TRL's loss divides by the tokens of the
        # whole step if it is told them.
        self.model_accepts_loss_kwargs = True
        self._checked_for_leaks = False
        self._tally = Tally()
        self.broken_pages = BrokenPages(args.output_dir)
        self.add_callback(self.broken_pages)

    def _encode(
        self, documents: Dataset, name: str, args: MMProLongConfig, processor: ProcessorMixin, **kwargs
    ) -> Dataset:
        dataset, self.rejections[name] = encode_documents(documents, processor, args, **kwargs)
        return dataset

    def plan(self, dataset: Dataset, *, training: bool = True) -> PackingPlan:
        """The plan over one of the trainer's encoding datasets."""
        lora = isinstance(self.model, PeftModel)
        return plan_of(dataset, self.args, self.model.config, lora=lora, training=training)

    def count_questions(self, step: int) -> int:
        """Questions that the first `step` optimizer steps train, those that only fill room counted too."""
        parts = parts_of(self.train_dataset, self.args)
        return total_until(self.plan(self.train_dataset), parts.num_samples, step)

    def get_train_dataloader(self) -> DataLoader:
        return self._loader(self.train_dataset, training=True)

    def get_eval_dataloader(self, eval_dataset: Dataset | None = None) -> DataLoader:
        return self._loader(self.eval_dataset if eval_dataset is None else eval_dataset, training=False)

    def _loader(self, dataset: Dataset, *, training: bool) -> DataLoader:
        plan, parts = self.plan(dataset, training=training), parts_of(dataset, self.args)
        return pack_loader(dataset, plan, parts, self.data_collator, self.args)

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        activate_attention(self.model, self.args)  # another trainer of this process may have chosen another since
        return super().train(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any):
        raise ValueError(
            "predict would keep the logits of whole documents; evaluate gives losses, `mmprolong evaluate` answers"
        )

    def evaluate(self, eval_dataset: Dataset | None = None, **kwargs: Any) -> dict[str, float]:
        if eval_dataset is not None and "length" not in eval_dataset.column_names:
            eval_dataset = self._encode(eval_dataset, "eval", self.args, self.processing_class)
            check_attention(self.model.config, parts_of(eval_dataset, self.args))
        return super().evaluate(eval_dataset, **kwargs)

    # -- optimiser and loss --

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is not None or self.args.vision_learning_rate is None:
            return super().create_optimizer(model)
        optimizer = super().create_optimizer(model)
        named = (self.model if model is None else model).named_parameters()
        set_vision_learning_rate(optimizer, named, self.args.vision_learning_rate)
        return optimizer

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        if not self._checked_for_leaks:
            self.check_for_leaks(model)
            self._checked_for_leaks = True
            # TRL counts from where the process began; what a resumed run has trained before follows from the plan.
            self._total_train_tokens = tokens_until(self.plan(self.train_dataset), self.state.global_step)
        self.broken_pages.see(inputs, self.state.global_step)
        return super().training_step(model, inputs, *args, **kwargs)

    def prediction_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any):
        self.broken_pages.see(inputs, self.state.global_step, training=False)
        return super().prediction_step(model, inputs, *args, **kwargs)

    def get_batch_samples(self, epoch_iterator: Iterator, *args: Any, **kwargs: Any):
        return super().get_batch_samples(self._tally.wait.timed(epoch_iterator), *args, **kwargs)

    def check_for_leaks(self, model: torch.nn.Module) -> float | None:
        """
        Runs [`~mmprolong_hf.leak.measure_leak`] on the pack of [`~mmprolong_hf.leak.telling_samples`].

        Returns:
            `float`: The measured leak, or `None` when every pack is a single sample.

        Raises:
            RuntimeError: when samples see each other.
        """
        pack = telling_samples(
            self.train_dataset, self.plan(self.train_dataset), parts_of(self.train_dataset, self.args)
        )
        if pack is None:
            return None
        pack = self._prepare_inputs(self.data_collator(pack))
        with self.compute_loss_context_manager():
            leak = measure_leak(model, pack)
        if leak > MAX_LEAK:
            raise RuntimeError(
                f"samples that share a pack see each other: replacing one moved another's logits by {leak:.2g} of its own "
                f"change (expected 0, at most {MAX_LEAK:g}). Attention is {self.model.config._attn_implementation!r}; load "
                "the model with mmprolong_hf.models.load_model, and pass inputs from PackCollator unchanged"
            )
        return leak

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        training = self.model.training
        num_supervised = (inputs["labels"] != IGNORE_INDEX).sum()
        total = self._total_train_tokens
        result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        counts = num_supervised > 0  # else it is a filler, and its samples were counted where they were trained
        num_tokens = counts * inputs["input_ids"].numel()
        loss = result[0] if return_outputs else result
        if training:
            # TRL reads the length off dimension 1 of position_ids, which is 1 in (4, 1, T).
            self._total_train_tokens = total + int(self.accelerator.gather(num_tokens).sum())
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
            num_questions = len(inputs["layout"].leaves)
            self._tally.add(num_tokens, num_supervised, num_questions, counts, inputs["position_ids"][1:].max())
        else:
            self._eval_tally += torch.stack([loss.detach().double() * num_supervised, num_supervised.double()]).cpu()
        return result

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any):
        # Trainer averages the losses of batches; packs hold different numbers of answers.
        self._eval_tally = torch.zeros(2, dtype=torch.float64)
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        total = self.accelerator.gather(self._eval_tally[None].to(self.args.device)).sum(dim=0)
        if not total[1]:
            raise ValueError("nothing could be evaluated: no document of eval_dataset has pages that can be read")
        output.metrics[f"{metric_key_prefix}_loss"] = (total[0] / total[1]).item()
        return output

    # -- what is logged and saved --

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= self._tally.take(self.accelerator, self.args.max_length) | self.broken_pages.take()
        super().log(logs, start_time)

    def describe(self) -> dict:
        plan, step = self.plan(self.train_dataset), self.state.global_step
        sharing = self.args.max_questions_per_pack if self.args.share_documents else 1
        return super().describe() | {
            "num_tokens": tokens_until(plan, step),
            "num_questions": self.count_questions(step),
            "num_fill": plan.num_fill,
            "rejected": Counter(rejection.reason for rejection in self.rejections["train"]),
            "max_questions_per_pack": sharing,
            "max_length": plan.max_length,
            "num_packs": plan.num_packs,
            "fill": plan.fill,
            "packs_per_step": plan.packs_per_step,
            "vision_learning_rate": self.args.vision_learning_rate or self.args.learning_rate,
            "trained": self.active["trained"],
        }
