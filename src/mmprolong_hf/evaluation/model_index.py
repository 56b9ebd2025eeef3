"""The results for a model card: the `model-index` block that the Hub reads."""

import re
from collections.abc import Mapping

import yaml
from huggingface_hub import EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from mmprolong_hf.evaluation.examples import length_name
from mmprolong_hf.evaluation.report_text import span

TASK = "visual-question-answering"
# Where a dataset is on the Hub; any other goes by its own name.
HUB_DATASETS = dict.fromkeys(("AVG", "ALL", "longdocurl", "mmlongdoc", "slidevqa"), "ZhaoweiWang/MMLongBench")


def eval_results(report: Mapping) -> list[EvalResult]:
    """
    The scores of a report, each with its interval and method in its name: the schema has no field for either.

    Args:
        report (`Mapping`): From [`~mmprolong_hf.evaluation.report.build_report`].
    """
    results = []
    for part in report["methods"]:
        for row in (*part["cells"], *part["averages"]):
            name = row.get("dataset", row.get("name"))
            at = "64K and 128K" if name == "ALL" else length_name(row["context_length"])
            results.append(
                EvalResult(
                    task_type=TASK,
                    dataset_type=HUB_DATASETS.get(name, name),
                    dataset_name=f"{name}, {at}",
                    # results of equal dataset and config would stand under one name
                    dataset_config=f"{name} {at}",
                    metric_type=part["method"]["metric"],
                    metric_value=round(row["score"], 2),
                    metric_name=f"{part['name']}; 95 % {span(row)}, n = {row['num']}",
                    metric_args=part["method"],
                )
            )
    return results


def model_index_yaml(report: Mapping) -> str:
    """
    The block as it stands at the top of a model card.

    Args:
        report (`Mapping`): From [`~mmprolong_hf.evaluation.report.build_report`].
    """
    block = {
        "model-index": eval_results_to_model_index(report["model"].rstrip("/").split("/")[-1], eval_results(report))
    }
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True)


def results_text(report: Mapping) -> str:
    """
    The same scores as Markdown tables, a method each, with what is needed to read them.

    Args:
        report (`Mapping`): From [`~mmprolong_hf.evaluation.report.build_report`].
    """
    lines = []
    for part in report["methods"]:
        lines += [f"### {part['name']}", "", "| dataset | length | questions | failed | score | 95 % |"]
        lines += ["|---|---|---|---|---|---|"]
        for row in (*part["cells"], *part["averages"]):
            name = row.get("dataset", row.get("name"))
            at = "64K and 128K" if name == "ALL" else length_name(row["context_length"])
            failed = row.get("num_failed", "")
            lines.append(f"| {name} | {at} | {row['num']} | {failed} | {row['score']:.1f} | {span(row)} |")
        lines.append("")
    skipped = report["num_skipped"]
    left_out = f"; could not be asked, and are in no mean: {skipped}" if skipped else ""
    lines += [
        f"Scores are from 0 to 100; what failed counts as 0{left_out}.",
        f"Measured with `mmprolong evaluate`{_settings(report)}.",
    ]
    return "\n".join([*lines, *(f"\n{note}" for note in report["notes"]), "", ""])


def _settings(report: Mapping) -> str:
    """What the engine says of itself in brackets: type, rotary embedding, pages, versions; not where the model lay."""
    found = re.search(r" \([^()]*\)", report["engine"])
    return found[0] if found and report["processor"] is None else ""
