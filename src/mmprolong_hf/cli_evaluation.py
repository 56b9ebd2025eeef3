"""The commands that measure a checkpoint: `mmprolong needle` and `mmprolong evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


def needle(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or Hub id.")],
    output: Annotated[
        Path, typer.Argument(help="Folder for needle.json, needle.csv, per_length.md, heatmap.png and the answers.")
    ],
    pdfs: Annotated[
        Path | None, typer.Option(help="Folder of PDFs whose pages are the haystack; pages are drawn if not given.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="In place of --pdfs: dataset folder or Hub id, as `mmprolong build` writes it.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "train",
    dpi: Annotated[int, typer.Option(help="Pixels per inch at which PDFs are rendered.")] = 144,
    kind: Annotated[
        str, typer.Option(help="What is hidden: text, keyvalue, table, image, multi, distractor or none.")
    ] = "text",
    lengths: Annotated[
        str, typer.Option(help="Context lengths in tokens, with commas.")
    ] = "8192,16384,32768,65536,131072",
    depths: Annotated[int, typer.Option(help="Number of depths from the first page to the last.")] = 11,
    trials: Annotated[int, typer.Option(help="Haystacks of each length.")] = 3,
    size: Annotated[
        float | None,
        typer.Option(help="Height of a needle as a fraction of the page's height; the kind's own if not given."),
    ] = None,
    isolated: Annotated[
        bool, typer.Option(help="One needle in a context: slower, to check that they do not disturb.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed hides the same needles.")] = 0,
) -> None:
    """
    Hide needles in page images, ask for them, and draw a heat map of context length and depth.

    A run that was stopped goes on when the same command is given again; what failed is asked again.
    """
    from mmprolong_hf.evaluation.needle import run_needle
    from mmprolong_hf.evaluation.needle_kinds import load_needle

    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file, expected a folder")
    documents, skipped = _needle_documents(pdfs, dpi, dataset, split)
    for pdf in skipped:
        typer.echo(f"left out: {pdf['source']}: {pdf['reason']}: {pdf['detail']}", err=True)
    report = run_needle(
        model,
        documents,
        output,
        lengths=[int(length) for length in lengths.split(",")],
        depths=[i / max(depths - 1, 1) for i in range(depths)],
        trials=trials,
        needle=load_needle(kind, size),
        seed=seed,
        isolated=isolated,
        skipped=skipped,
    )
    for length, reason in dict.fromkeys((missing["length"], missing["reason"]) for missing in report["missing"]):
        typer.echo(f"not measured at {length} tokens, all or in part: {reason}", err=True)
    typer.echo((output / "per_length.md").read_text(encoding="utf-8"))
    typer.echo(f"{len(report['records'])} needles; {output}/needle.json, {output}/heatmap.png")
    if all(record["error"] is not None for record in report["records"]):
        typer.echo("error: nothing could be measured: see needle.json", err=True)
        raise typer.Exit(1)


def evaluate(
    plan: Annotated[Path, typer.Argument(help="What to ask whom (recipes/evaluation/*.yaml).")],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the plan, e.g. --set model=outputs/run; may be given several times."),
    ] = None,
    report_only: Annotated[
        bool,
        typer.Option(
            "--report_only", "--report-only", help="Score and report what is answered; ask and judge nothing."
        ),
    ] = False,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Output folder of another run on the same questions; may be given several times."),
    ] = None,
    vlmevalkit: Annotated[
        list[Path] | None,
        typer.Option(
            help="VLMEvalKit's outputs/MODEL of the same model, to stand in the report; may be given several times."
        ),
    ] = None,
) -> None:
    """
    Ask a model the questions of benchmarks, and report its scores with their intervals.

    A run that was stopped goes on when the same command is given again.
    """
    from mmprolong_hf.evaluation.options import load_evaluation
    from mmprolong_hf.evaluation.plan_run import evaluate as evaluate_plan
    from mmprolong_hf.evaluation.plan_run import report_run
    from mmprolong_hf.synthesis.plan import parse_changes

    options = load_evaluation(plan, parse_changes(change or []))
    if not report_only:
        typer.echo(str(evaluate_plan(options)))
    report_run(options.output, compare or [], vlmevalkit or [])
    typer.echo(
        f"{options.output}/report.md, report.json, accuracy.png, and model_index.yaml once everything is answered"
    )


def _needle_documents(
    pdfs: Path | None, dpi: int, dataset: str | None, split: str
) -> tuple[Sequence[dict], list[dict]]:
    """What the haystack is made of, and the PDFs that were left out."""
    if pdfs is not None and dataset is not None:
        raise ValueError(f"--pdfs {pdfs} and --dataset {dataset} are both given, expected one of them")
    if dataset is not None:
        from mmprolong_hf.config import DataArguments
        from mmprolong_hf.rows import UndecodedRows
        from mmprolong_hf.samples import check_columns
        from mmprolong_hf.train import load_documents

        rows = load_documents(DataArguments(dataset), split)
        check_columns(rows)
        return UndecodedRows(rows), []
    if pdfs is not None:
        from mmprolong_hf.evaluation.needle_pdfs import PdfFolder

        folder = PdfFolder(pdfs, dpi)
        return folder, folder.skipped
    from mmprolong_hf.evaluation.drawn_pages import DrawnDocuments

    return DrawnDocuments(), []
