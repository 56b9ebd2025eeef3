"""`mmprolong publish`, `review` and `restore`: what goes to the Hub, and what a person looks at before."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

publish = typer.Typer(no_args_is_help=True, help="Publish a dataset or a checkpoint on the Hub.")

RepoId = Annotated[str, typer.Argument(help="name/repository on the Hub; made if it does not exist.")]
Private = Annotated[
    bool | None,
    typer.Option("--private/--public", help="Of a repository that is made; one that is there has to be so."),
]
Revision = Annotated[str | None, typer.Option(help="Branch to push to, made if it does not exist; main if not given.")]

DryRun = Annotated[
    bool, typer.Option("--dry_run", "--dry-run", help="Show what would be pushed, and the card; push nothing.")
]


class Pages(StrEnum):
    """How the pages of a dataset are published."""

    images = "images"
    pdf = "pdf"
    references = "references"


@publish.command("dataset")
def publish_dataset(
    folder: Annotated[Path, typer.Argument(help="A dataset that `mmprolong build` wrote.")],
    repo_id: RepoId,
    pages: Annotated[
        list[Pages] | None,
        typer.Option(
            help="A config each, the first is the default one: page images; the PDFs themselves; or references, which name the "
            "PDFs by sha256 and URL and hold nothing of their pages. May be given several times; as in the folder if not given."
        ),
    ] = None,
    pdfs: Annotated[
        Path | None,
        typer.Option(help="Folder or list of the PDFs, where --pages pdf is asked and the folder holds images."),
    ] = None,
    review: Annotated[
        list[Path] | None, typer.Option(help="A review.json of `mmprolong review`; may be given several times.")
    ] = None,
    private: Private = None,
    revision: Revision = None,
    dry_run: DryRun = False,
) -> None:
    """
    Publish a dataset: Parquet, card, figures, all in one commit.

    A push that was stopped goes on when the same command is given again; one of the same content uploads nothing. What a person has
    edited on the Hub's card stays.
    """
    from mmprolong_hf.hub import dataset

    choices = tuple(each.value for each in pages or ())
    options = {"pdfs": pdfs, "reviews": tuple(review or ())} | ({"pages": choices} if choices else {})
    plan = dataset.plan_dataset(folder, repo_id, **options)
    if dry_run:
        typer.echo(str(plan))
        return
    for note in plan.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(str(dataset.push_dataset(plan, private=private, revision=revision)))


@publish.command("model")
def publish_model(
    folder: Annotated[Path, typer.Argument(help="Output folder of a training, or one of its checkpoints.")],
    repo_id: RepoId,
    evaluation: Annotated[
        list[Path] | None, typer.Option(help="Output folder of `mmprolong evaluate`; may be given several times.")
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            "--base_model", "--base-model", help="Hub id of the base, where training read it from a local folder."
        ),
    ] = None,
    private: Private = None,
    revision: Revision = None,
    dry_run: DryRun = False,
) -> None:
    """
    Publish a checkpoint or a LoRA adapter: weights, config, processor, card, all in one commit.

    A push that was stopped goes on when the same command is given again. What a person has edited on the Hub's card stays.
    """
    from mmprolong_hf.hub import model

    options = {"evaluations": tuple(evaluation or ()), "base_model": base_model}
    if dry_run:
        typer.echo(str(model.plan_model(folder, repo_id, **options)))
        return
    typer.echo(str(model.publish_model(folder, repo_id, **options, private=private, revision=revision)))


def review(
    folder: Annotated[Path, typer.Argument(help="A dataset that `mmprolong build` wrote.")],
    output: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
    num_samples: Annotated[
        int, typer.Option("--num_samples", "--num-samples", help="Questions to draw at random.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    split: Annotated[str, typer.Option(help="To draw from.")] = "train",
) -> None:
    """
    Make a page on which a person grades questions drawn at random; it opens in any browser and needs no network.

    What it exports goes into the card: mmprolong publish dataset FOLDER REPO_ID --review review.json
    """
    from mmprolong_hf.review.page import write_review

    typer.echo(str(write_review(folder, output, num_samples=num_samples, seed=seed, split=split)))


def restore(
    source: Annotated[str, typer.Argument(help="A dataset published with --pages references: Hub id or folder.")],
    pdfs: Annotated[Path, typer.Argument(help="Folder with your copies of its PDFs; they are found by their sha256.")],
    output: Annotated[Path, typer.Argument(help="Dataset folder to write.")],
    revision: Annotated[str | None, typer.Option(help="Commit or branch on the Hub; main if not given.")] = None,
) -> None:
    """Put your copies of the PDFs back into a dataset that only refers to them."""
    from mmprolong_hf.hub.restore import restore_dataset

    typer.echo(str(restore_dataset(source, pdfs, output, revision=revision)))
