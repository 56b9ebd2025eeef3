"""Recipe -> dataset, model, trainer -> checkpoint (-> Hub). An executable recipe calls `main`."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from signal import Signals

from accelerate import PartialState
from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetNotFoundError
from peft import PeftModel
from trl import ModelConfig, get_quantization_config

from mmprolong_hf.config import DataArguments, MMProLongConfig
from mmprolong_hf.dry_run import dry_run
from mmprolong_hf.encoding import load_processor
from mmprolong_hf.hub.loading import from_hub
from mmprolong_hf.models import fetch, load_model, lora_config
from mmprolong_hf.preemption import stop_with_the_launcher
from mmprolong_hf.recipe import parse_recipe, resolve_recipe
from mmprolong_hf.resume import resolve
from mmprolong_hf.run_record import RunSource, describe_base, describe_dataset
from mmprolong_hf.samples import summarize_rejections
from mmprolong_hf.trainer import MMProLongTrainer


def load_documents(data: DataArguments, split: str) -> Dataset:
    """
    A split of the dataset that a recipe names.

    Raises:
        ValueError: when it is neither a local folder nor on the Hub, or has no such split.
    """
    local = Path(data.dataset_name)
    if local.is_dir() and not any(local.rglob("*.parquet")):
        raise ValueError(f"dataset_name {local} holds no Parquet file; make it with `mmprolong build PDFS {local}`")
    load = partial(load_dataset, data.dataset_name, data.dataset_config, split=split, revision=data.dataset_revision)
    if local.is_dir():
        return load()
    refusal = f"dataset_name {data.dataset_name!r} is neither a local folder nor a dataset that the Hub gives to you"
    try:
        return from_hub(load, refusal)
    except (DatasetNotFoundError, ConnectionError, FileNotFoundError) as error:
        raise ValueError(
            f"{refusal} ({error}); make one with `mmprolong build PDFS FOLDER` and pass the folder"
        ) from error


def load_fill(data: DataArguments) -> Dataset | None:
    """
    The dataset to fill with, if the recipe names one.

    Raises:
        ValueError: as [`load_documents`], or when it is the dataset itself, whose questions would be trained twice.
    """
    if data.fill_with is None:
        return None
    if data.fill_with == data.dataset_name:
        raise ValueError(
            f"fill_with is {data.fill_with!r}, the dataset itself, whose questions would be trained twice; name another"
        )
    try:
        return load_documents(DataArguments(data.fill_with), "train")
    except ValueError as error:
        raise ValueError(f"fill_with: {error}") from error


def make_trainer(
    data: DataArguments, args: MMProLongConfig, model: ModelConfig, recipe: Mapping | None = None
) -> MMProLongTrainer:
    """
    The trainer that a recipe describes, with its datasets and its model loaded.

    Args:
        data (`DataArguments`), args (`MMProLongConfig`), model (`ModelConfig`): From [`~mmprolong_hf.recipe.parse_recipe`].
        recipe (`Mapping`, *optional*): From [`~mmprolong_hf.recipe.resolve_recipe`], to be kept beside the weights.

    Raises:
        ValueError: when something the recipe names does not exist or does not fit.
    """
    _check_output(args, lora=model.use_peft)
    fetch(model.model_name_or_path, model.model_revision, weights=False)
    processor = load_processor(
        model.model_name_or_path,
        min_pixels=args.min_pixels,
        max_pixels=args.max_pixels,
        revision=model.model_revision,
        local_files_only=True,
    )
    kwargs = {"dtype": model.dtype, "revision": model.model_revision}
    if model.attn_implementation is not None:
        kwargs["attn_implementation"] = model.attn_implementation
    if (quantization := get_quantization_config(model)) is not None:
        kwargs["quantization_config"] = quantization
    evaluates = args.eval_strategy != "no"
    documents, fill = load_documents(data, data.dataset_train_split), load_fill(data)
    trainer = MMProLongTrainer(
        model=load_model(model.model_name_or_path, args, **kwargs),
        args=args,
        train_dataset=documents,
        eval_dataset=load_documents(data, data.dataset_test_split) if evaluates else None,
        fill_dataset=fill,
        processing_class=processor,
        peft_config=lora_config(model),
        source=_source(data, model, documents, fill, recipe),
    )
    if args.resume_from_checkpoint is not None:
        trainer.check_resumable(args.resume_from_checkpoint)
    trainer.check_room()  # train() asks too; here it is one line for who started a recipe
    return trainer


def _source(
    data: DataArguments, model: ModelConfig, documents: Dataset, fill: Dataset | None, recipe: Mapping | None
) -> RunSource:
    """The recipe with the commits that its names meant on the Hub."""
    datasets = [describe_dataset(documents, data.dataset_name)]
    if fill is not None:
        datasets.append(describe_dataset(fill, data.fill_with))
    pins = {
        "dataset_revision": datasets[0]["commit"],
        "model_revision": describe_base(model.model_name_or_path, model.model_revision)["commit"],
    }
    if recipe is not None:
        recipe = dict(recipe) | {name: commit for name, commit in pins.items() if commit is not None}
    return RunSource(recipe, tuple(datasets), model.model_revision)


def _check_output(args: MMProLongConfig, *, lora: bool) -> None:
    output, resume = Path(args.output_dir), args.resume_from_checkpoint
    if output.exists() and not output.is_dir():
        raise ValueError(f"output_dir {output} is a file, expected a folder")
    other = "model*.safetensors" if lora else "adapter_model.safetensors"
    if any(output.glob(other)):
        raise ValueError(f"output_dir {output} holds {other} of another kind of run; name a folder of its own")
    if resume is not None:
        args.resume_from_checkpoint = resolve(output, resume)


def train(trainer: MMProLongTrainer) -> None:
    """
    Trains, saves the checkpoint and its card into `output_dir`, and pushes them where `push_to_hub` asks for it.

    Raises:
        SystemExit: with 128 plus its number, when a signal ended training early (see [`~mmprolong_hf.preemption.StopOnSignal`]), or
            came later, before the final model was published; with a message, when it could not be published.
    """
    args = trainer.args
    say = PartialState().print
    for name, rejections in trainer.rejections.items():
        if rejections:
            say(f"{name}: {summarize_rejections(rejections)}")
    plan = trainer.plan(trainer.train_dataset)
    say(
        f"{trainer.count_questions(plan.steps_per_epoch):,} questions in {plan.num_packs:,} packs, {plan.fill:.1%} full; "
        f"{plan.steps_per_epoch:,} steps an epoch"
    )
    for part, state in trainer.active.items():
        say(f"{part}: {state}")
    with trainer.stop:  # also while the final model is saved, which may be the only one
        result = trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
        if left_out := trainer.broken_pages.report():
            say(left_out)
        if (signal := trainer.stop.stopped_by) is not None:
            say(
                f"{signal.name}: saved checkpoint-{trainer.state.global_step} of {trainer.state.max_steps} steps in "
                f"{args.output_dir}; go on with --resume_from_checkpoint last"
            )
            # As a program ended by that signal. A launcher makes 1 of it, and Slurm starts nothing again because of either: see
            # recipes/accelerate/fsdp2_8gpu.yaml for what does
            raise SystemExit(128 + signal)
        trainer.save_model()
        trainer.save_state()
        trainer.save_metrics("train", result.metrics, combined=False)
        trainer.create_model_card(model_name=args.hub_model_id)
        number = trainer.stop.agreed(args.device)
    if number and args.push_to_hub:
        say(
            f"{Signals(number).name}: training was over, the trained model is saved in {args.output_dir} but not pushed"
        )
        raise SystemExit(128 + number)
    if args.push_to_hub:
        _publish(trainer)
    if isinstance(trainer.model, PeftModel):
        say(f"adapter: {args.output_dir}; `mmprolong merge {args.output_dir} FOLDER` makes a checkpoint of it")
    else:
        say(f"checkpoint: {args.output_dir} (load it with from_pretrained), model card: {args.output_dir}/README.md")


def _publish(trainer: MMProLongTrainer) -> None:
    try:
        published = trainer.publish()
    except ValueError as error:
        raise SystemExit(
            f"error: {error}. The trained model is saved: `mmprolong publish model {trainer.args.output_dir} REPO_ID` publishes it"
        ) from error
    PartialState().print(published)


def main(argv: Sequence[str] | None = None) -> None:
    """
    Entry point of `python -m mmprolong_hf.train --config RECIPE [--key value ...]` and of every recipe run as a program.

    Args:
        argv (`Sequence[str]`, *optional*): Arguments; `sys.argv` if not given, whose first is the recipe where one is run.
    """
    if argv is None:
        argv = sys.argv if sys.argv[0].endswith((".yaml", ".yml")) else sys.argv[1:]
    stop_with_the_launcher()
    try:
        data, args, model = parse_recipe(argv)
        if args.dry_run:
            PartialState().print(dry_run(data, args, model, load_documents, load_fill))
            return
        trainer = make_trainer(data, args, model, resolve_recipe(argv))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    train(trainer)


if __name__ == "__main__":
    main()
