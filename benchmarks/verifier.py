"""
What the verification of questions finds, and what it wrongly finds, on questions with planted faults, as Markdown tables.

    python benchmarks/verifier.py FOLDER [--per_kind 3] [--errors 0 0.05 0.1] [--limit N]

The questions of the extractive teacher are taken as right; plants are made from those that pass every check without a
model. The judge is an oracle behind a real server on this machine: it knows which pages hold each answer, and errs as often as
`--errors` says. So the judge's columns measure the requests, the rules and what noise does to them, and no model.
"""

import argparse
import asyncio
import hashlib
import io
import json
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, ReplyCache
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE, VERDICTS
from mmprolong_hf.synthesis.sources import find_pdfs
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.text import fold
from mmprolong_hf.synthesis.verification import (
    DocumentText,
    JudgeOptions,
    Verdict,
    check,
    examine,
    failed,
    read_second,
)
from mmprolong_hf.synthesis.verification.judge import CHECKS
from mmprolong_hf.synthesis.verification.planted import Plant, plant

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from scripted_server import ScriptedServer, texts

SEED = "0"
DPI = 36  # the checks read no image


class Oracle:
    """
    Answers a judge's request from what is known of the plants.

    Args:
        plants (`list[Plant]`): All of one document.
        errors (`float`): Part of the answers that are wrong, half of them by saying too little, half too much.
    """

    def __init__(self, plants: list[Plant], errors: float):
        self.known = {p.candidate.question.question: p for p in plants}
        self.errors = errors

    def __call__(self, body: dict) -> str:
        text = texts(body)
        question = re.search(r"^Question: (.*)$", text, re.MULTILINE)[1]
        if two := re.search(r"^First answer: (.*)\nSecond answer: (.*)$", text, re.MULTILINE):
            return json.dumps({"same": "yes" if fold(two[1]) == fold(two[2]) else "no"})
        plant = self.known[question]
        shown = {int(n) for n in re.findall(r"^Page (\d+):$", text, re.MULTILINE)}
        knows = any(set(pages) <= shown for pages in plant.sufficient)
        chance = int.from_bytes(hashlib.sha256(f"{question} {sorted(shown)}".encode()).digest()[:8], "big") / 2**64
        if chance < self.errors:
            wrong = NOT_ANSWERABLE if knows else plant.answer
            return json.dumps({"answer": wrong if chance < self.errors / 2 else f"{plant.answer} 1"})
        return json.dumps({"answer": plant.answer if knows else NOT_ANSWERABLE})


async def examine_all(plants: list[Plant], num_pages: int, url: str) -> list[dict[str, Verdict]]:
    image = io.BytesIO()
    Image.new("L", (28, 28)).save(image, "JPEG")
    pages = dict.fromkeys(range(1, num_pages + 1), image.getvalue())
    options = JudgeOptions(EndpointOptions("oracle", base_url=url, temperature=0.0))
    async with Endpoint(options.endpoint, ReplyCache(":memory:"), Budget()) as endpoint:
        return await asyncio.gather(*(examine(endpoint, p.candidate, pages, options) for p in plants))


class Tally:
    """Counts over all documents."""

    def __init__(self):
        self.documents = self.questions = self.seconds = self.requests = 0
        self.flagged = Counter()  # (verdict, reason) of questions that are taken as right
        self.planted = Counter()
        self.is_wrong = {}
        self.caught = defaultdict(Counter)  # kind -> None or a rate of errors -> how many
        self.by = defaultdict(Counter)  # kind -> verdict without a model -> how many
        self.by_judge = defaultdict(Counter)

    def add(self, plants: list[Plant], verdicts: list[dict[str, Verdict]], errors: float | None) -> None:
        for p, found in zip(plants, verdicts):
            self.caught[p.kind][errors] += failed(found, VERDICTS) is not None
            names = [name for name, verdict in found.items() if verdict.value == "fail"]
            if errors is None:
                self.planted[p.kind] += 1
                self.is_wrong[p.kind] = p.is_wrong
                self.by[p.kind].update(names)
            elif errors == 0:
                self.by_judge[p.kind].update(name for name in names if name in CHECKS)


def measure(path: Path, args, tally: Tally) -> None:
    try:
        source = read_pdf(path, dpi=DPI)
    except RejectedDocument as rejected:
        tqdm.write(f"{path.name}: {rejected}")
        return
    text = DocumentText(source.pages, read_second(path), build_structure(source))
    right = []
    for candidate in ask(text.structure, seed=SEED, lines=[page.lines for page in source.pages]):
        started = time.process_time()
        verdicts = check(candidate, text)
        tally.seconds += time.process_time() - started
        tally.questions += 1
        tally.flagged.update((name, v.reason) for name, v in verdicts.items() if v.value == "fail")
        if not failed(verdicts, VERDICTS):
            right.append(candidate)
    tally.documents += 1
    plants = plant(right, text, seed=SEED, per_kind=args.per_kind)
    alone = [check(p.candidate, text) for p in plants]
    tally.add(plants, alone, None)
    for errors in args.errors:
        with ScriptedServer(Oracle(plants, errors)) as server:
            judged = asyncio.run(examine_all(plants, len(source.pages), server.url))
        tally.requests += len(server.requests)
        tally.add(plants, [a | j for a, j in zip(alone, judged)], errors)


def print_tables(tally: Tally, rates: list[float]) -> None:
    print(f"{tally.documents} documents, {tally.questions} extractive questions taken as right, ", end="")
    print(f"{1e3 * tally.seconds / tally.questions:.2f} CPU ms a question; {tally.requests} judge requests\n")
    print("| of them flagged without a model | questions |\n|---|---:|")
    for (name, reason), count in sorted(tally.flagged.items()):
        print(f"| {name}: {reason} | {count} |")
    judged = " | ".join(f"and a judge with {rate:.0%} errors" for rate in rates)
    for is_wrong, title in ((True, "planted fault"), (False, "right question")):
        print(
            f"\n| {title} | planted | flagged without a model | {judged} | by, without a model | by a judge without errors |"
        )
        print("|---|---:|---:|" + "---:|" * len(rates) + "---|---|")
        kinds = [kind for kind in tally.planted if tally.is_wrong[kind] == is_wrong]
        sums = Counter()
        for kind in kinds:
            sums.update(tally.caught[kind])
            print(_row(kind, tally.planted[kind], tally.caught[kind], rates, tally.by[kind], tally.by_judge[kind]))
        print(_row("all", sum(tally.planted[kind] for kind in kinds), sums, rates, Counter(), Counter()))


def _row(kind: str, planted: int, caught: Counter, rates: list[float], by: Counter, by_judge: Counter) -> str:
    shares = " | ".join(f"{caught[rate]} ({caught[rate] / planted:.0%})" for rate in (None, *rates))
    names = (", ".join(f"{name} {count}" for name, count in found.most_common(3)) for found in (by, by_judge))
    return f"| {kind} | {planted} | {shares} | {' | '.join(names)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per_kind", type=int, default=3, help="planted questions of a kind in a document")
    parser.add_argument(
        "--errors", type=float, nargs="*", default=[0.0, 0.05, 0.1], help="parts of the judge's answers that are wrong"
    )
    parser.add_argument("--limit", type=int, default=None, help="only so many documents")
    args = parser.parse_args()
    tally = Tally()
    for found in tqdm(find_pdfs(args.folder)[: args.limit], unit="PDF"):
        measure(Path(found["path"]), args, tally)
    print_tables(tally, args.errors)


if __name__ == "__main__":
    main()
