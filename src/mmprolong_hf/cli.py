"""`mmprolong`: one command per intention. Heavy libraries are imported when a command that needs them runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmprolong_hf.cli_evaluation import evaluate, needle
from mmprolong_hf.cli_publishing import publish, restore, review

if TYPE_CHECKING:
    from mmprolong_hf.doctor.findings import Part
    from mmprolong_hf.synthesis.plan import BuildPlan

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def build(
    source: Annotated[
        Path, typer.Argument(help="A plan (recipes/build/*.yaml), or a folder of PDFs, searched with its sub-folders.")
    ],
    output: Annotated[
        Path | None, typer.Argument(help="Dataset folder to write; a plan names its own if it is not given.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the plan, e.g. --set pool.min_pages=32; may be given several times."),
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option("--max_usd", "--max-usd", help="The models may cost so much; then the build stops cleanly."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry_run", "--dry-run", help="Read a few documents and show what the whole would take; write nothing."
        ),
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Show how far the build is and what failed, also while it runs.")
    ] = False,
    batch_export: Annotated[
        Path | None, typer.Option("--batch_export", help="Write the models' requests to batch files here, send none.")
    ] = None,
    batch_import: Annotated[
        list[Path] | None,
        typer.Option("--batch_import", help="Read the result file of a batch; may be given several times."),
    ] = None,
) -> None:
    """
    Make a question-answer dataset from PDFs.

    With a folder, the questions are those that the PDFs' own structure answers exactly; with a plan, whatever it says. A build
    that was stopped goes on when the same command is given again.
    """
    from mmprolong_hf.synthesis.cost import estimate_build
    from mmprolong_hf.synthesis.plan import folder_plan, load_plan, parse_changes
    from mmprolong_hf.synthesis.status import import_results, show_status

    changes = parse_changes(change or [])
    if output is not None:
        changes["output"] = str(output)
    if max_usd is not None:
        changes["max_usd"] = max_usd
    plan = load_plan(source, changes) if source.suffix in (".yaml", ".yml") else folder_plan(source, changes)
    if status:
        typer.echo(show_status(plan))
        return
    if dry_run:
        typer.echo(str(estimate_build(plan)))
        return
    if batch_import:
        typer.echo(import_results(plan, batch_import))
        if batch_export is None:  # going on would send what is still in the batch a second time
            typer.echo("Imported. --batch_export NEW_FOLDER exports what is left; the command without both sends it.")
            return
    _build(plan, batch_export)


def _build(plan: "BuildPlan", batch_export: Path | None) -> None:
    """Build until the end, or until the models' part stops; both are told."""
    from mmprolong_hf.synthesis.build_with_models import Unanswered
    from mmprolong_hf.synthesis.endpoint import BudgetSpent, EndpointRefused, Pending
    from mmprolong_hf.synthesis.pipeline import build_dataset

    try:
        typer.echo(str(build_dataset(plan, export=batch_export)))
    except (BudgetSpent, EndpointRefused, Unanswered) as error:
        raise ValueError(f"{error}. What is done is kept; the same command goes on") from error
    except Pending as pending:
        typer.echo(
            f"{pending}. Upload the files in {batch_export} to the provider's batch API. When all results are there, give the same "
            "command with --batch_import RESULTS.jsonl and a new --batch_export folder"
        )


@app.command()
def extend(
    source: Annotated[str, typer.Argument(help="Checkpoint folder or Hub id of Qwen2.5-VL or Qwen3-VL.")],
    destination: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
    max_position_embeddings: Annotated[
        int | None, typer.Option(help="Window in tokens; the family's if not given.")
    ] = None,
    rope_theta: Annotated[float | None, typer.Option(help="Base of the frequencies; 4e6 for Qwen2.5-VL.")] = None,
    rope_type: Annotated[str, typer.Option(help="default or yarn.")] = "default",
    factor: Annotated[float | None, typer.Option(help="YaRN's factor; 4 if not given.")] = None,
    original_max_position_embeddings: Annotated[
        int | None, typer.Option(help="YaRN's first window; 32768 if not given.")
    ] = None,
) -> None:
    """Copy a checkpoint with an extended context: only its config.json changes."""
    from mmprolong_hf.rope import extend_checkpoint

    config = extend_checkpoint(
        source,
        destination,
        max_position_embeddings=max_position_embeddings,
        rope_theta=rope_theta,
        rope_type=rope_type,
        factor=factor,
        original_max_position_embeddings=original_max_position_embeddings,
    )
    text = config.text_config
    typer.echo(f"{destination}: {text.max_position_embeddings:,} tokens, {text.rope_parameters}")


@app.command()
def merge(
    adapter: Annotated[str, typer.Argument(help="Output folder of a LoRA run, or Hub id of a published adapter.")],
    destination: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
) -> None:
    """Make a checkpoint of a LoRA adapter and its base, on the extended config that it was trained with."""
    from mmprolong_hf.models import merge_adapter

    merge_adapter(adapter, destination)
    typer.echo(f"{destination}: load it with from_pretrained")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def train(context: typer.Context) -> None:
    """Train a recipe: mmprolong train RECIPE [--key value ...]; --help lists the keys."""
    from mmprolong_hf.train import main as train_main

    train_main(context.args)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def doctor(
    context: typer.Context,
    steps: Annotated[int, typer.Option(help="Training steps to take; the first is not timed.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON lines, one a part.")] = False,
) -> None:
    """
    Examine what a recipe would train here: mmprolong doctor RECIPE [--key value ...].

    Versions, what is active and the proof of each, leaks, positions, speed, and what to change. It saves nothing, and fails when
    something is wrong.
    """
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # several GPUs of a process would share each pack
    from mmprolong_hf.doctor.findings import show, show_json, summarize
    from mmprolong_hf.doctor.versions import examine_versions

    def told(part: "Part") -> "Part":
        typer.echo(show_json(part) if as_json else f"{show(part)}\n")
        return part

    seen = [told(examine_versions())]
    if not seen[0].is_wrong:  # else what follows might not even import
        from mmprolong_hf.doctor.examination import examine

        seen += [told(part) for part in examine(context.args, steps)]
    if not as_json:
        typer.echo(summarize(seen))
    if any(part.is_wrong for part in seen):
        raise typer.Exit(1)


app.command()(needle)
app.command()(evaluate)
app.command()(review)
app.add_typer(publish, name="publish")
app.command()(restore)


@app.command()
def demo(
    pdfs: Annotated[Path | None, typer.Option(help="Folder of your PDFs; reports made in code if not given.")] = None,
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("demo"),
) -> None:
    """Go the whole way once on two CPU cores: PDFs, dataset, training, checkpoint, heat map."""
    from mmprolong_hf.demo.run import run_demo

    run_demo(folder, pdfs)


def main() -> None:
    """Entry point: what a user can put right is one line, not a traceback."""
    try:
        app()
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
