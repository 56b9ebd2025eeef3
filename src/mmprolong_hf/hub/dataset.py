"""A built set to the Hub: what would be pushed, and the push."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.dataset_card import Config, dataset_card, transcriptions
from mmprolong_hf.hub.dataset_files import FEATURES, BuiltSet, read_built_set, read_split
from mmprolong_hf.hub.dataset_pages import FORMS, check_forms, publish_folder, shards_of
from mmprolong_hf.hub.push import check_repo_id, push
from mmprolong_hf.hub.pushed import Pushed
from mmprolong_hf.review.grades import check_review, describe_reviews, read_review
from mmprolong_hf.synthesis.output import CONFIGS, VIEWER_BYTES
from mmprolong_hf.synthesis.output_folder import REPORT
from mmprolong_hf.synthesis.publish import CHART
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES

REVIEWS = "reviews"
# The repository's Parquet files and reviews are those of the set, and what an earlier push left beside them goes
FOLDERS = sorted({*CONFIGS, *(form.folder for form in FORMS.values())})
OWNED = (*(f"{folder}/*.parquet" for folder in FOLDERS), f"{REVIEWS}/*.json")


@dataclass(frozen=True)
class DatasetPlan:
    """
    What a publication would push.

    Args:
        repo_id (`str`): Where to.
        configs (`tuple[Config]`): The default one first.
        files (`Mapping[str, Path]`): Path in the repository -> file, without the README.md.
        card (`Card`): The README.md.
        notes (`tuple[str]`): What should be known before it is published.
    """

    repo_id: str
    configs: tuple[Config, ...]
    files: Mapping[str, Path]
    card: Card
    notes: tuple[str, ...]

    @property
    def num_bytes(self) -> int:
        """Of all files, without the README.md."""
        return sum(path.stat().st_size for path in self.files.values())

    def __str__(self) -> str:
        features = f"dataset_info: of {len(self.configs)} configs"  # hundreds of lines, for programs
        top = {name: value for name, value in self.card.metadata.items() if name != "dataset_info"}
        lines = [str(Card(top, self.card.sections)), f"({features})", ""]
        lines += [f"{path.stat().st_size:>14,}  {name}" for name, path in self.files.items()]
        lines += [f"config {config.name}: {config.row}" for config in self.configs]
        lines.append(f"{len(self.files)} files, {self.num_bytes:,} bytes, and README.md to {self.repo_id}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def plan_dataset(
    folder: Path, repo_id: str, *, pages: Sequence[str] = (), pdfs: Path | None = None, reviews: Sequence[Path] = ()
) -> DatasetPlan:
    """
    What [`publish_dataset`] would push; it needs no network. Every row is read, and rows of forms that the folder does not hold are
    written beside it (see [`~mmprolong_hf.hub.dataset_pages.shards_of`]).

    Args:
        folder, repo_id, pages, pdfs, reviews: As [`publish_dataset`] takes them.

    Raises:
        ValueError: as [`publish_dataset`], but for what the Hub refuses.
    """
    folder, forms = Path(folder), tuple(pages)
    check_forms(forms)
    check_repo_id(repo_id)
    built = read_built_set(folder)
    review_files = _reviews(reviews)
    read = [read_review(path) for path in review_files.values()]
    for review in read:
        check_review(review, folder)
    forms = forms or (built.store,)
    names = _config_names(forms)
    configs = (*_page_configs(built, names, pdfs), *_other_configs(built, forms))
    files = {path: file for config in configs for path, file in config.files.items()}
    files |= {name: folder / name for name in (REPORT, CHART)} | review_files
    card = dataset_card(built, repo_id, configs, names, describe_reviews(read) if read else None)
    notes = _notes(built, forms, configs)
    if any(form != built.store for form in forms):
        notes.append(
            f"rows of forms that {folder} does not hold are in {publish_folder(folder)}; delete it when you like"
        )
    return DatasetPlan(repo_id, configs, files, card, tuple(notes))


def publish_dataset(
    folder: Path,
    repo_id: str,
    *,
    pages: Sequence[str] = (),
    pdfs: Path | None = None,
    reviews: Sequence[Path] = (),
    private: bool | None = None,
    revision: str | None = None,
) -> Pushed:
    """
    Publish a set that a build wrote, in one commit. The same call again uploads nothing.

    The repository's Parquet files and reviews become those of this call: a form of the pages, or a review, that an earlier call
    published and this one does not name is deleted. The Hub keeps earlier commits and what they held. Rows of forms that the folder
    does not hold are kept beside it in `.NAME.publish/`, so that a push which was stopped goes on; after it that may be deleted.

    Args:
        folder (`Path`): That `mmprolong build` or `mmprolong restore` wrote.
        repo_id (`str`): "name/repository"; made if it does not exist.
        pages (`Sequence[str]`, *optional*): How the pages are published, a config each, the first of them the default one: "images"
            (config `default`, or `images` where another form is the default), "pdf" (config `pdf`) or "references" (config
            `references`: neither images nor PDFs). With "references" alone the config `elements`, the text of the pages, is left
            out. By default the form that the folder holds.
        pdfs (`Path`, *optional*): Folder or list of the PDFs, where "pdf" is asked for and the folder holds images.
        reviews (`Sequence[Path]`, *optional*): What `mmprolong review`'s page exported; published under `reviews/`.
        private (`bool`, *optional*): Of a repository that is made; nothing is pushed to one that is there and is not so.
        revision (`str`, *optional*, defaults to `"main"`): A branch.

    Raises:
        ValueError: when the folder is no whole set, `pages` is none of these, PDFs are missing, a review is not of this set, or the
            Hub refuses.
    """
    plan = plan_dataset(folder, repo_id, pages=pages, pdfs=pdfs, reviews=reviews)
    for note in plan.notes:
        warnings.warn(note, stacklevel=2)
    return push_dataset(plan, private=private, revision=revision)


def push_dataset(plan: DatasetPlan, *, private: bool | None = None, revision: str | None = None) -> Pushed:
    """
    What [`publish_dataset`] does behind its plan.

    Args:
        plan (`DatasetPlan`): Whose notes have been told.
        private, revision: As [`publish_dataset`] takes them.

    Raises:
        ValueError: as [`~mmprolong_hf.hub.push.push`].
    """
    message = f"Publish {', '.join(config.name for config in plan.configs)}"
    return push(
        plan.repo_id,
        "dataset",
        plan.files,
        plan.card,
        owned=OWNED,
        message=message,
        private=private,
        revision=revision,
    )


def _config_names(forms: tuple[str, ...]) -> dict[str, str]:
    """Form -> config. A config that is called default is the default one for `datasets`, whatever the card says of another."""
    return {form: form if form != "images" or number else "default" for number, form in enumerate(forms)}


def _page_configs(built: BuiltSet, names: Mapping[str, str], pdfs: Path | None) -> list[Config]:
    configs = []
    for form, name in names.items():
        if form == built.store:
            splits = built.parts["data"]
        else:
            shards = shards_of(built, form, pdfs)
            splits = {split: read_split(paths, DOCUMENT_FEATURES) for split, paths in shards.items()}
        kind = FORMS[form]
        configs.append(Config(name, kind.folder, kind.row, DOCUMENT_FEATURES, splits, default=not configs))
    return configs


def _other_configs(built: BuiltSet, forms: tuple[str, ...]) -> list[Config]:
    left_out = {"data", "elements"} if forms == ("references",) else {"data"}
    return [
        Config(CONFIGS[part][0], part, CONFIGS[part][1], FEATURES[part], splits)
        for part, splits in built.parts.items()
        if part not in left_out
    ]


def _reviews(paths: Sequence[Path]) -> dict[str, Path]:
    """Path in the repository -> file."""
    named = {f"{REVIEWS}/{Path(path).name}": Path(path) for path in paths}
    if len(named) < len(paths) or not all(name.endswith(".json") for name in named):
        raise ValueError(
            f"the reviews are called {', '.join(Path(path).name for path in paths)}; expected names of their own that end in .json"
        )
    return named


def _notes(built: BuiltSet, forms: tuple[str, ...], configs: Sequence[Config]) -> list[str]:
    large = [
        f"{name} of {config.name} ({split.largest_group:,} bytes)"
        for config in configs
        for name, split in config.splits.items()
        if split.largest_group > VIEWER_BYTES
    ]
    notes = (
        [f"the Hub's viewer shows no row group of more than {VIEWER_BYTES:,} bytes: {', '.join(large)}"]
        if large
        else []
    )
    if forms == ("references",) and (count := transcriptions(built.report)):
        notes.append(
            f"{count} answers (ocr-full, ocr-needle) are the text of whole pages, and are published with the questions"
        )
    if forms != ("references",) and (count := built.report["licenses"].get("", 0)):
        notes.append(f"the pages of {count} documents are published, and no licence of theirs was told")
    return notes
