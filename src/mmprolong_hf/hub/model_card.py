"""A published checkpoint's card: what its run was, and what was measured of it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from huggingface_hub.repocard_data import eval_results_to_model_index
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.core_model_loading import revert_weight_conversion

from mmprolong_hf.cards import EVALUATION, NOT_MEASURED, model_card
from mmprolong_hf.evaluation.model_index import eval_results, results_text
from mmprolong_hf.evaluation.vllm_engine import weights_files_hash
from mmprolong_hf.hub.card import Card, merge
from mmprolong_hf.hub.model_files import CheckpointFiles

RUN, REPORT = "run.json", "report.json"


def published_card(
    checkpoint: CheckpointFiles, repo_id: str, evaluations: Sequence[str | Path], base_model: str | None
) -> Card:
    """
    The card to publish. What a person has edited in the folder's README.md stays so.

    Args:
        checkpoint (`CheckpointFiles`): From [`~mmprolong_hf.hub.model_files.find_checkpoint`].
        repo_id (`str`): Where it goes.
        evaluations (`Sequence[str | Path]`): Folders of runs of `mmprolong evaluate`.
        base_model (`str`, *optional*): Hub id of the base, where the record names none.

    Raises:
        ValueError: when a run is unfinished, or of another model, or there is no card.
    """
    readme, record = checkpoint.folder / "README.md", checkpoint.record
    if record["card_template"] is None:
        if not readme.is_file():
            raise ValueError(
                f"{readme} is not there, and the run had no model_card_template to make one of; write it, or train with a template"
            )
        card = Card.parse(readme.read_text(encoding="utf-8"))
        card.sections[EVALUATION] = NOT_MEASURED
        made = card
    else:
        made = model_card(record, repo_id, base_model)
    if evaluations:
        reports = [read_report(folder, checkpoint, repo_id) for folder in evaluations]
        made.sections[EVALUATION] = "\n" + "\n".join(results_text(report) for report in reports)
        results = [result for report in reports for result in eval_results(report)]
        made.metadata["model-index"] = eval_results_to_model_index(repo_id.split("/")[-1], results)
    if readme.is_file() and record["card_template"] is not None:
        made, _ = merge(made, Card.parse(readme.read_text(encoding="utf-8")))
    return made


def read_report(folder: str | Path, checkpoint: CheckpointFiles, repo_id: str) -> dict:
    """
    The report of a run, when that is finished and of this checkpoint, as far as its record tells.

    Args:
        folder (`str` or `Path`): Of the run.
        checkpoint (`CheckpointFiles`), repo_id (`str`): What it has to be of.

    Raises:
        ValueError: when it is not.
    """
    folder = Path(folder)
    for name in (RUN, REPORT):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}, expected the folder of a run of `mmprolong evaluate`")
    run, report = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (RUN, REPORT))
    if report["num_answered"] < report["num_questions"] or report["num_unjudged"]:
        raise ValueError(
            f"{folder} is unfinished: {report['num_answered']} of {report['num_questions']} questions answered, "
            f"{report['num_unjudged']} answers not judged; the same `mmprolong evaluate` goes on"
        )
    if run["engine"] != report["engine"]:
        raise ValueError(
            f"{folder} holds a run of {run['engine']!r} and a report of {report['engine']!r}; make the report again with "
            "`mmprolong evaluate PLAN --report_only`"
        )
    _check_model(folder, run, checkpoint, repo_id)
    return report


def _check_model(folder: Path, run: Mapping, checkpoint: CheckpointFiles, repo_id: str) -> None:
    if run["options"]["rope"] is not None:
        raise ValueError(
            f"{folder} was run with the rotary embedding changed ({run['options']['rope']}), so that it is of another model than "
            f"{checkpoint.folder}; evaluate the checkpoint without `rope`"
        )
    if run["processor"] is not None:  # a server's model, of which the name alone is known; the report says so
        return
    found = re.search(r", weights ([0-9a-f]{8})", run["engine"])
    if found is None:  # vLLM loaded it from the Hub
        if run["model"] != repo_id:
            raise ValueError(f"{folder} is a run of {run['model']}, expected one of {repo_id}; evaluate {repo_id}")
        return
    weights = _weights(checkpoint, run["options"]["engine"])[:8]
    if found[1] != weights:
        raise ValueError(
            f"{folder} is a run of a model with weights {found[1]} ({run['model']}), but those of {checkpoint.folder} are {weights}; "
            "evaluate this checkpoint, or publish the one that was evaluated"
        )


def _weights(checkpoint: CheckpointFiles, engine: str) -> str:
    if engine == "vllm":
        return weights_files_hash(checkpoint.folder)
    return saved_weights_hash(checkpoint.folder)


def saved_weights_hash(folder: Path) -> str:
    """
    [`~mmprolong_hf.evaluation.plan_engine.weights_hash`] of the model that a folder holds, read from its files: of a large one, a few
    rows of each tensor instead of all of them in memory.
    """
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):  # names and their order, without weights
        model = AutoModelForImageTextToText.from_config(config)
    digest = hashlib.sha256()
    with ExitStack() as stack:
        where = {}
        for path in folder.glob("model*.safetensors"):
            file = stack.enter_context(safe_open(path, "pt"))
            where |= dict.fromkeys(file.keys(), file)
        for name, parameter in model.named_parameters():
            (saved,) = revert_weight_conversion(model, {name: parameter})  # what it is called in a file
            beginning = where[saved].get_slice(saved)[:64].flatten()[:64].to(config.dtype)
            digest.update(name.encode() + beginning.float().numpy().tobytes())
    return digest.hexdigest()
