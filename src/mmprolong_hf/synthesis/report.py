"""What a build did, for the screen, for build_report.json and for the card."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Built:
    """What a worker says of the document it wrote."""

    file: str
    doc_id: str
    num_pages: int
    num_tokens: int
    tasks: dict[str, int]
    dropped: dict[str, int]
    engine: str


@dataclass
class BuildReport:
    """
    What a build did.

    Args:
        folder (`str`): Where the dataset is.
        accepted (`list[str]`): File names in the dataset.
        rejected (`dict[str, tuple[str, str]]`): File name -> (reason, detail).
        rows (`dict[str, int]`): Split -> documents.
        questions (`dict[str, int]`): Task -> questions.
        dropped_questions (`dict[str, int]`): Reason -> questions that were not certain enough.
        pages (`int`): Of all accepted documents.
        page_tokens (`int`): Of all their pages, under Qwen2.5-VL's limits.
        seconds (`float`): Wall-clock time.
        engines (`list[str]`): What rendered the pages.
        options (`dict`): Of the build.
    """

    folder: str
    accepted: list[str] = field(default_factory=list)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)
    dropped_questions: dict[str, int] = field(default_factory=dict)
    pages: int = 0
    page_tokens: int = 0
    seconds: float = 0.0
    engines: list[str] = field(default_factory=list)
    options: dict = field(default_factory=dict)

    @property
    def rejected_by_reason(self) -> dict[str, int]:
        """Reason -> number of documents."""
        return dict(sorted(Counter(reason for reason, _ in self.rejected.values()).items()))

    @property
    def pages_per_second(self) -> float:
        """Pages of accepted documents for each second of the build."""
        return self.pages / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        splits = ", ".join(f"{name} {count}" for name, count in self.rows.items())
        tasks = ", ".join(f"{name} {count}" for name, count in self.questions.items())
        lines = [
            f"{len(self.accepted)} documents ({splits}), {self.pages} pages, {self.page_tokens} page tokens",
            f"{sum(self.questions.values())} questions: {tasks}",
            f"{self.seconds:.1f} s, {self.pages_per_second:.1f} pages/s, written to {self.folder}",
        ]
        if self.rejected:
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.rejected_by_reason.items())
            lines.append(f"{len(self.rejected)} rejected: {reasons}")
            lines += [f"  {name}: {reason}: {detail}" for name, (reason, detail) in self.rejected.items()]
        return "\n".join(lines)


def card_facts(report: BuildReport) -> dict[str, str]:
    """
    What the card of a dataset says of its build, by the names that the card's template leaves open.

    Args:
        report (`BuildReport`): Of the build.
    """
    return {
        "documents": _table(("split", "documents"), report.rows.items()),
        "questions": _table(("task", "questions"), report.questions.items()),
        "rejected": _table(("reason", "documents"), report.rejected_by_reason.items()),
        "dropped": _table(("reason", "questions"), report.dropped_questions.items()),
        "pages": str(report.pages),
        "page_tokens": str(report.page_tokens),
        "engines": ", ".join(report.engines),
        "options": "\n".join(f"- `{name}`: {value}" for name, value in report.options.items()),
    }


def _table(head: tuple[str, str], rows) -> str:
    lines = [f"| {left} | {right} |" for left, right in (head, ("---", "---:"), *rows)]
    return "\n".join(lines) if len(lines) > 2 else "None."
