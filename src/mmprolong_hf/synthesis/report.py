"""What a build did, for the screen, for build_report.json and for the card."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class BuildReport:
    """
    What a build did.

    Args:
        folder (`str`): Where the dataset is.
        accepted (`list[str]`): Names of the documents in the dataset.
        rejected (`dict[str, tuple[str, str]]`): Name -> (reason, detail).
        rows (`dict[str, int]`): Split -> documents, short ones included.
        questions (`dict[str, int]`): Task -> questions.
        dropped_questions (`dict[str, int]`): Reason -> questions that failed a check, or were beyond what is kept of a document.
        left_out (`dict[str, int]`): Reason -> questions that the mixture did not take.
        failures (`dict[str, int]`): Reason -> questions that were asked of a model and did not come.
        pool (`dict`): What `pool.select.summarise` says of the documents.
        mixture (`dict`): What `selection.Selection.achieved` says of the samples.
        short (`dict[str, int]`): Short samples and, by reason, the rows that were not taken.
        models (`dict[str, dict]`): Model -> calls, tokens and USD, over all runs on the same file of replies.
        licenses (`dict[str, int]`): Licence as it was told ("" where it was not) -> long documents.
        languages (`dict[str, int]`): Language -> long documents.
        beyond_viewer (`list[str]`): Names of the documents whose rows alone are more than the Hub's viewer reads.
        pages (`int`): Of all long documents.
        page_tokens (`int`): Of all their pages, under Qwen2.5-VL's limits.
        seconds (`float`): Wall-clock time of the last run.
        engines (`list[str]`): What rendered the pages.
        versions (`dict[str, str]`): Of what took part in it.
        plan (`dict`): Of the build.
    """

    folder: str
    accepted: list[str] = field(default_factory=list)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)
    dropped_questions: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    pool: dict = field(default_factory=dict)
    mixture: dict = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    models: dict[str, dict] = field(default_factory=dict)
    licenses: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    beyond_viewer: list[str] = field(default_factory=list)
    pages: int = 0
    page_tokens: int = 0
    seconds: float = 0.0
    engines: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    plan: dict = field(default_factory=dict)

    @property
    def rejected_by_reason(self) -> dict[str, int]:
        """Reason -> number of documents."""
        return dict(sorted(Counter(reason for reason, _ in self.rejected.values()).items()))

    @property
    def pages_per_second(self) -> float:
        """Pages of accepted documents for each second of the build."""
        return self.pages / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        lines = [
            f"{len(self.accepted)} documents ({_counts(self.rows)}), {self.pages} pages, {self.page_tokens} page tokens",
            f"{sum(self.questions.values())} questions: {_counts(self.questions)}",
            f"{self.mixture.get('tokens', 0)} tokens of samples, each question behind its whole document",
        ]
        if self.beyond_viewer:
            lines.append(f"too large for the Hub's viewer to show: {', '.join(self.beyond_viewer)}")
        lines += [f"not reached: {name}, {text}" for name, text in self.mixture.get("shortfall", {}).items()]
        lines += [
            f"{model}: {bill['calls']} calls, {bill['prompt_tokens']} + {bill['completion_tokens']} tokens, {bill['usd']:.4f} USD"
            for model, bill in self.models.items()
        ]
        lines.append(f"{self.seconds:.1f} s, {self.pages_per_second:.1f} pages/s, written to {self.folder}")
        if self.rejected:
            lines.append(f"{len(self.rejected)} rejected: {_counts(self.rejected_by_reason)}")
            lines += [f"  {name}: {reason}: {detail}" for name, (reason, detail) in self.rejected.items()]
        return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
