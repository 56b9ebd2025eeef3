"""From documents and a recipe to samples, the parts that packs are made of, and the plan over them."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedConfig, ProcessorMixin

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.estimate import CostModel
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.sample_encoder import count_fill, sample_parts, samples_dataset
from mmprolong_hf.samples import Rejection, list_samples, summarize_rejections
from mmprolong_hf.sharing import Parts


def encode_documents(
    documents: Dataset, processor: ProcessorMixin, args: MMProLongConfig, *, fill: Dataset | None = None
) -> tuple[Dataset, list[Rejection]]:
    """
    The samples of a dataset, encoded when they are read.

    Args:
        documents (`Dataset`): One row per document, as `load_dataset` gives a published set.
        processor (`ProcessorMixin`): What encodes them.
        args (`MMProLongConfig`): Its `max_length` and `overlong_documents`.
        fill (`Dataset`, *optional*): Such rows whose samples only fill the room that packs have left.

    Returns:
        `(Dataset, list[Rejection])`: As [`~mmprolong_hf.sample_encoder.samples_dataset`]; and what was left out.

    Raises:
        ValueError: when no sample of `documents` can be used, or `fill` has other columns.
    """
    first_fill = len(documents)
    if fill is not None:
        documents = with_fill(documents, fill)
    table, rejections = list_samples(
        documents,
        processor,
        max_length=args.max_length,
        overlong_documents=args.overlong_documents,
        first_fill=first_fill,
    )
    check_usable(table, rejections, fill=fill is not None)
    return samples_dataset(table, documents, processor, uint8=True), rejections  # see levers.chunk_vision_tower


def with_fill(documents: Dataset, fill: Dataset) -> Dataset:
    """
    The documents, and after them those whose samples only fill room.

    Raises:
        ValueError: when their columns differ.
    """
    if fill.features != documents.features:
        differing = sorted(
            name
            for name in {*fill.column_names, *documents.column_names}
            if fill.features.get(name) != documents.features.get(name)
        )
        raise ValueError(
            f"the dataset to fill with differs in {', '.join(differing)}; expected the columns of the dataset itself, as "
            "`mmprolong build` writes them"
        )
    return concatenate_datasets([documents, fill])


def check_usable(table: Dataset, rejections: list[Rejection], *, fill: bool) -> None:
    """
    Args:
        table (`Dataset`): From [`~mmprolong_hf.samples.list_samples`].
        rejections (`list[Rejection]`): What was left out.
        fill (`bool`): Whether there is a dataset to fill with.

    Raises:
        ValueError: when no sample of the dataset, or none of the one to fill with, can be used.
    """
    used = set(table["fill"])
    if False not in used:
        raise ValueError(f"no sample of the dataset can be used. {summarize_rejections(rejections)}")
    if fill and True not in used:
        raise ValueError(
            f"no sample of fill_with can be used; name another dataset, or leave it out. {summarize_rejections(rejections)}"
        )


def sharing_options(args: MMProLongConfig) -> dict:
    """What a recipe says to [`~mmprolong_hf.sharing.make_parts`]."""
    return {
        "max_length": args.max_length,
        "max_questions": args.max_questions_per_pack if args.share_documents else 1,
        "seed": None
        if args.packing_order == "sequential"
        else args.plan_seed,  # which keeps the order of the questions too
    }


def parts_of(dataset: Dataset, args: MMProLongConfig) -> Parts:
    """
    What packs of a dataset are made of, as a recipe says.

    Args:
        dataset (`Dataset`): From [`encode_documents`].
        args (`MMProLongConfig`): Its `share_documents`, `max_questions_per_pack`, `max_length`, `packing_order` and seed.
    """
    return sample_parts(dataset, **sharing_options(args))


def page_patches(table: Dataset) -> int:
    """Vision patches of a page of the first sample that has pages, which stands for all; 0 if none has."""
    return next((patches // len(pages) for patches, pages in zip(table["num_patches"], table["pages"]) if pages), 0)


def plan_of(
    dataset: Dataset, args: MMProLongConfig, config: PreTrainedConfig, *, lora: bool, training: bool = True
) -> PackingPlan:
    """
    The plan over a dataset: for training as the recipe says, for evaluation in the order of the dataset.

    Args:
        dataset (`Dataset`): From [`encode_documents`].
        args (`MMProLongConfig`): The recipe.
        config (`PreTrainedConfig`): Of the model, whose sizes say what a pack costs.
        lora (`bool`): Whether the model's own weights are frozen.
        training (`bool`, *optional*, defaults to `True`): Off for evaluation.
    """
    cost = cost_model(
        Architecture.from_config(config.to_dict()),
        args,
        patches_per_image=page_patches(dataset.with_format(None)),
        lora=lora,
    )
    return make_plan(
        parts_of(dataset, args), args, cost, num_ranks=args.world_size, num_fill=count_fill(dataset), training=training
    )


def cost_model(architecture: Architecture, args: MMProLongConfig, *, patches_per_image: int, lora: bool) -> CostModel:
    """What a recipe's packs cost on a model of these sizes; adapters leave the vision tower as it is."""
    train_vision = not (lora or args.freeze_vision_tower)
    return CostModel.of(architecture, patches_per_image=patches_per_image, train_vision=train_vision, lora=lora)


def make_plan(
    parts: Parts, args: MMProLongConfig, cost: CostModel, *, num_ranks: int, num_fill: int = 0, training: bool = True
) -> PackingPlan:
    """
    The plan over parts: of a run, and of a dry run.

    Args:
        parts (`Parts`): From [`parts_of`], or made of assumed lengths.
        args (`MMProLongConfig`): The recipe.
        cost (`CostModel`): From [`cost_model`].
        num_ranks (`int`): Ranks that take packs of their own.
        num_fill (`int`, *optional*, defaults to `0`): So many of the last parts only fill room.
        training (`bool`, *optional*, defaults to `True`): Off, packs keep the order of the dataset, one a rank and step.
    """
    return PackingPlan(
        lengths=parts.lengths,
        max_length=args.max_length,
        seed=args.plan_seed,
        world_size=num_ranks,
        packs_per_step=args.packs_per_step if training else num_ranks,
        strategy=args.packing_order if training else "sequential",
        costs=cost.flops(parts.lengths, parts.pairs, parts.patches),
        num_fill=num_fill,
        balance_window=args.balance_window,
    )


def steps_for_questions(plan: PackingPlan, parts: Parts, num_questions: int) -> int:
    """
    Optimizer steps after which so many questions were trained, those that only fill room not counted.

    Example:

    ```python
    >>> from mmprolong_hf.sharing import share_prefixes
    >>> parts = share_prefixes([7, 9, 8], [0, 1, 0], [5, 5, 5], max_length=20, max_questions=2, seed=0)
    >>> plan = PackingPlan(parts.lengths, 20, seed=0, packs_per_step=1)  # both parts fit one pack: three questions a step
    >>> steps_for_questions(plan, parts, 3), steps_for_questions(plan, parts, 4)
    (1, 2)

    ```
    """
    questions = parts.num_samples
    epochs, left = divmod(num_questions, int(questions[: plan.num_main].sum()))
    if left == 0:
        return epochs * plan.steps_per_epoch
    packs = plan.packs(epochs)
    in_pack = np.array([sum(questions[part] for part in pack if part < plan.num_main) for pack in packs])
    packs_needed = int(np.searchsorted(in_pack.cumsum(), left)) + 1
    return epochs * plan.steps_per_epoch + -(-packs_needed // plan.packs_per_step)


def total_until(plan: PackingPlan, values: Sequence[int], step: int) -> int:
    """
    What the first `step` optimizer steps trained in all.

    Args:
        plan (`PackingPlan`): The plan.
        values (`Sequence[int]`): Of each part: its tokens, or its questions.
        step (`int`): Optimizer steps that are done.

    Example:

    ```python
    >>> plan = PackingPlan([30, 60, 90], 100, seed=0)
    >>> total_until(plan, plan.lengths, step=3)  # an epoch has two packs, so a third step begins the second
    270

    ```
    """
    values = np.asarray(values)
    epoch, steps = divmod(step, plan.steps_per_epoch)
    packs = [pack for done in range(epoch) for pack in plan.packs(done)]
    packs += plan.packs(epoch)[: steps * plan.packs_per_step]
    return int(sum(values[pack].sum() for pack in packs))


def tokens_until(plan: PackingPlan, step: int) -> int:
    """Tokens that were trained in the first `step` optimizer steps."""
    return total_until(plan, plan.lengths, step)
