"""A folder for lmms-eval's `--include_path`: a task for each dataset and length of a plan, with its rows beside it."""

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import yaml
from datasets import Dataset, Features, List, Value
from PIL import Image

from mmprolong_hf.evaluation.answers import write_whole
from mmprolong_hf.evaluation.examples import length_name
from mmprolong_hf.evaluation.lmms_eval_tasks.task_functions import FAILED
from mmprolong_hf.evaluation.requests import Ask, Context, PageImage
from mmprolong_hf.evaluation.scoring_run import DOC_QA, EXACT, RULES

COMMON = "document_task.yaml"
ROW_COLUMNS = ("dataset", "context_length", "prompt_version", "question", "answer", "answer_format")
# Written as Parquet: read from JSON, a column of nothing but dates becomes one of times.
ROW_FEATURES = Features(
    {"id": Value("string")}
    | {name: Value("int64" if name == "context_length" else "string") for name in ROW_COLUMNS}
    | {"parts": List({"kind": Value("string"), "content": Value("string")})}
)


def write_tasks(contexts: Sequence[Context], columns: Mapping[str, Mapping], folder: str | Path) -> list[str]:
    """
    Write the tasks of a plan, and for each length of MMLongBench's sets a group of them, whose score is their mean.

    Pages that are files stay where they are; others are written into the folder. Rows keep the order of the contexts, so that a
    server's prefix cache finds the questions of a document side by side.

    Args:
        contexts (`Sequence[Context]`): Of [`~mmprolong_hf.evaluation.plan_questions.plan_questions`].
        columns (`Mapping[str, Mapping]`): As well: a question's id -> `ROW_COLUMNS`.
        folder (`str` or `Path`): Must be new or empty, since lmms-eval reads every YAML file in it.

    Returns:
        `list[str]`: The names of the tasks and groups.

    Raises:
        ValueError: when the folder holds something, two cells have one name, or a task's questions have answers of several lengths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty, expected a new folder: lmms-eval reads every YAML file in it")
    rows, max_new_tokens = defaultdict(list), defaultdict(set)
    for context in contexts:
        paths = {page: _page_path(page, folder) for page in dict.fromkeys(context.pages)}
        for ask in context.asks:
            about = columns[ask.id]
            cell = about["dataset"], about["context_length"]
            rows[cell].append(_row(context, ask, about, paths))
            max_new_tokens[cell].add(ask.max_new_tokens)
    names = _task_names(rows)
    shutil.copyfile(Path(__file__).with_name(COMMON), folder / COMMON.replace(".yaml", ""))
    for cell, name in names.items():
        Dataset.from_list(rows[cell], features=ROW_FEATURES).to_parquet(folder / f"{name}.parquet")
        _write_yaml(folder / f"{name}.yaml", _task(name, cell[0], max_new_tokens[cell]))
    groups = _groups(names)
    for group in groups:
        _write_yaml(folder / f"{group['group']}.yaml", group)
    return [*names.values(), *(group["group"] for group in groups)]


def _row(context: Context, ask: Ask, about: Mapping, paths: Mapping[PageImage, str]) -> dict:
    parts = [
        {"kind": "text", "content": part} if isinstance(part, str) else {"kind": "page", "content": paths[part]}
        for part in context.parts
    ]
    row = {"id": ask.id} | {name: about[name] for name in ROW_COLUMNS}
    return row | {"parts": [*parts, {"kind": "text", "content": ask.text}]}


def _page_path(page: PageImage, folder: Path) -> str:
    if isinstance(page.data, Path):
        return str(page.data.resolve())
    with Image.open(BytesIO(page.data)) as image:
        path = folder / "pages" / f"{page.sha256}.{image.format.lower()}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(page.data)
    return str(path.resolve())


def _task_names(cells: Iterable[tuple[str, int | None]]) -> dict[tuple[str, int | None], str]:
    """lmms-eval takes "," and "*" in a name for something else, so a name has letters, digits and "_" only."""
    names: dict[tuple[str, int | None], str] = {}
    for dataset, length in cells:
        words = dataset if length is None else f"{dataset}_{length_name(length)}"
        name = "mmprolong_" + re.sub(r"\W+", "_", words).lower()
        if name in names.values():
            raise ValueError(
                f"two datasets have the task name {name!r}, expected names that differ in letters or digits"
            )
        names[dataset, length] = name
    return names


def _task(name: str, dataset: str, max_new_tokens: set[int]) -> dict:
    if len(max_new_tokens) > 1:
        raise ValueError(f"{name} has max_new_tokens {sorted(max_new_tokens)}, expected one for all of its questions")
    metrics = {RULES.get(dataset, EXACT).metric: True, FAILED: False}
    return {
        "include": COMMON.replace(".yaml", ""),
        "task": name,
        "tag": "mmprolong",
        "dataset_kwargs": {"data_files": {"test": f"{name}.parquet"}},
        # Without `until`, lmms-eval would cut answers at the first empty line.
        "generation_kwargs": {
            "max_new_tokens": max_new_tokens.pop(),
            "temperature": 0,
            "do_sample": False,
            "until": [],
        },
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": higher} for metric, higher in metrics.items()
        ],
    }


def _groups(names: Mapping[tuple[str, int | None], str]) -> list[dict]:
    tasks = defaultdict(list)
    for (dataset, length), name in names.items():
        if dataset in RULES:
            tasks[length].append(name)
    return [
        {
            "group": f"mmprolong_docvqa_{length_name(length).lower()}",
            "task": of_length,
            "aggregate_metric_list": [
                {"metric": metric, "aggregation": "mean", "weight_by_size": False}
                for metric in (DOC_QA.metric, FAILED)
            ],
            "metadata": {"version": 1.0},
        }
        for length, of_length in tasks.items()
    ]


def _write_yaml(path: Path, content: Mapping) -> None:
    write_whole(path, yaml.safe_dump(content, sort_keys=False))
