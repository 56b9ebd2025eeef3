"""
What feeds a GPU: packs a minute from one core, where the time of a page goes, and how many cores a GPU needs.

    python benchmarks/feeding.py [--pdfs FOLDER] [--packs 4] [--max_pixels 812224] [--float32]

Packs of 131,072 tokens are planned, read and collated as in training, in one worker process, from both stored forms: embedded JPEGs at
144 dpi, and PDFs that are rendered when read. Times are CPU seconds of that process; a page of 812,224 pixels has 1,036 tokens.
Without --pdfs the documents are drawn. The tokenizer is the tests': its text is a few tokens longer, and its time of the same kind.
"""

import argparse
import gc
import math
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from datasets import Dataset
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import tiny
from synthetic_pdf import report

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_branch, encode_page, encode_turn
from mmprolong_hf.loader import Packs, pack_rows
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.prompt import document_parts
from mmprolong_hf.rows import UndecodedRows, decode_image
from mmprolong_hf.sample_encoder import sample_parts, samples_dataset
from mmprolong_hf.samples import list_samples
from mmprolong_hf.synthesis.pages import ENGINE, open_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.render import PdfPages
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, Question

DPI, MAX_LENGTH, TOKENS_PER_SECOND = 144, 131_072, 3_500
NUM_QUESTIONS = 4  # that share a document


def make_row(path: Path, *, embedded: bool) -> dict:
    """A document in one of the two stored forms, with questions about it."""
    pages = PdfPages(path.read_bytes(), DPI, ENGINE)
    images = pages[:]
    questions = [
        Question(f"What is said on page {k + 1}, and where else?", f"Answer {k}", "extract-single", "String", (k + 1,), ("Text",))
        for k in range(NUM_QUESTIONS)
    ]  # fmt: skip
    sizes = [list(decode_image(image).size) for image in images]
    return {
        "doc_id": path.stem, "source": path.name, "title": path.stem, "url": "", "license": "", "num_pages": len(pages), "dpi": DPI, "language": "en",
        "engine": ENGINE, "image_format": "jpeg", "page_sizes": sizes, "page_tokens": [0] * len(sizes),
        "images": images if embedded else [], "pdf": None if embedded else pages.pdf,
        "questions": [question.to_row() for question in questions],
    }  # fmt: skip


def make_dataset(paths: list[Path], folder: Path, *, embedded: bool) -> Dataset:
    """Rows on disk, memory-mapped as in training."""
    name = "embedded" if embedded else "compact"
    rows = Dataset.from_list([make_row(path, embedded=embedded) for path in paths], features=DOCUMENT_FEATURES)
    rows.to_parquet(folder / f"{name}.parquet")
    return Dataset.from_parquet(str(folder / f"{name}.parquet"), cache_dir=str(folder))


def find_documents(pdfs: Path | None, folder: Path) -> list[Path]:
    if pdfs is None:
        return [report(folder / f"{number}.pdf", chapters=7, pages_per_chapter=6) for number in range(6)]
    found = []
    for path in sorted(pdfs.glob("*.pdf")):
        try:
            open_pdf(path, max_pages=126)
        except RejectedDocument:
            continue
        found.append(path)
    return found


def plan_packs(documents: Dataset, processor, *, uint8: bool) -> tuple[Dataset, list[list[list[int]]]]:
    """The table of samples, and the rows of the fullest packs first."""
    table, _ = list_samples(documents, processor, max_length=MAX_LENGTH)
    dataset = samples_dataset(table, documents, processor, uint8=uint8)
    parts = sample_parts(dataset, max_length=MAX_LENGTH, max_questions=NUM_QUESTIONS, seed=0)
    plan = PackingPlan(parts.lengths, MAX_LENGTH, seed=0)
    packs = sorted(plan.packs(0), key=lambda pack: -sum(plan.lengths[part] for part in pack))
    return dataset, [pack_rows(pack, parts) for pack in packs]


# -- one worker --


def worker_numbers(pid: int) -> tuple[float, float]:
    """CPU seconds of a process so far, and its peak resident memory in GB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return ticks / 100, int(peak.split()[1]) * 1024 / 1e9


def read_packs(dataset: torch.utils.data.Dataset, packs: list[list[list[int]]]) -> tuple[dict, float, float, float]:
    """Of one worker that makes these packs: the last pack; CPU seconds a pack, its peak GB, and the most GB in /dev/shm."""
    loader = DataLoader(dataset, batch_sampler=packs, collate_fn=_only, num_workers=1, prefetch_factor=1)
    before, shared = shutil.disk_usage("/dev/shm").used, 0
    for pack in loader:  # noqa: B007
        (worker,) = multiprocessing.active_children()
        seconds, peak = worker_numbers(worker.pid)
        shared = max(shared, shutil.disk_usage("/dev/shm").used - before)
    return pack, seconds / len(packs), peak, shared / 1e9


def _only(packs: list) -> dict:
    return packs[0]


class MadeBefore(torch.utils.data.Dataset):
    """A pack that is there already: what is left is its way from the worker."""

    def __init__(self, pack: dict):
        self.pack = pack

    def __getitems__(self, _) -> list[dict]:
        return [{name: value.clone() if torch.is_tensor(value) else value for name, value in self.pack.items()}]


# -- where the time goes --


class Clock:
    """CPU seconds by step."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began


def time_steps(
    documents: Dataset, dataset: Dataset, parts: list[list[int]], processor, *, uint8: bool
) -> tuple[Clock, int]:
    """The steps of a pack, one by one."""
    clock, plain, num_pages, groups = Clock(), dataset.with_format(None), 0, []
    for part in parts:
        samples = [plain[row] for row in part]
        numbers = samples[0]["pages"]
        num_pages += len(numbers)
        with clock.step("read the row"):
            row = UndecodedRows(documents)[samples[0]["document"]]
        rendered = row["pdf"] is not None
        pages = []
        for number in numbers:
            with clock.step("render" if rendered else "read the row"):
                stored = row["images"][number - 1]
            with clock.step("decode"):
                image = decode_image(stored)
                image.load()
            with clock.step("resize and patches" + (" (uint8)" if uint8 else ", float32")):
                pages.append(encode_page(processor, image, uint8=uint8))
        with clock.step("tokenise"):
            document = encode_turn(processor, document_parts([page["image_grid_thw"][0] for page in pages], numbers))
        with clock.step("join the pages"):
            document["pixel_values"] = torch.cat([page["pixel_values"] for page in pages])
        with clock.step("tokenise"):
            items = [row["questions"][sample["question"]] for sample in samples]
            groups.append([encode_branch(processor, document, numbers, i["question"], i["answer"]) for i in items])
    with clock.step("collate"):
        PackCollator()(groups)
    return clock, num_pages


def measure(documents: Dataset, processor, num_packs: int, *, uint8: bool, say: Callable[[str], None]) -> None:
    dataset, packs = plan_packs(documents, processor, uint8=uint8)
    packs = packs[:num_packs]
    pack, cpu, peak, shared = read_packs(Packs(dataset, PackCollator()), packs)
    size = sum(value.nbytes for value in pack.values() if torch.is_tensor(value)) / 1e9
    _, transfer, *_ = read_packs(MadeBefore(pack), [[[0]]] * 4)
    cores = math.ceil(TOKENS_PER_SECOND / MAX_LENGTH * cpu)
    say(
        f"{len(packs)} packs, the last of {pack['input_ids'].numel():,} tokens, {len(pack['image_grid_thw'])} pages, {size:.2f} GB: "
        f"{60 / cpu:.1f} packs a minute and core ({cpu:.1f} CPU seconds a pack), worker's peak {peak:.2f} GB, {shared:.2f} GB in "
        f"/dev/shm, {cores} core{'s'[: cores != 1]} for {TOKENS_PER_SECOND:,} tokens a second"
    )
    del pack
    gc.collect()
    clock, num_pages = time_steps(documents, dataset, packs[0], processor, uint8=uint8)
    clock.seconds["copy to the trainer's process"] = transfer
    for name, seconds in clock.seconds.items():
        say(f"| {name} | {seconds / num_pages * 1000:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pdfs", type=Path)
    parser.add_argument("--packs", type=int, default=4)
    parser.add_argument("--max_pixels", type=int, default=1036 * 28 * 28)
    parser.add_argument("--float32", action="store_true", help="pages as the processor makes them, not as uint8")
    options = parser.parse_args()
    torch.set_num_threads(1)
    processor = tiny.processor(max_pixels=options.max_pixels)
    with tempfile.TemporaryDirectory() as name:
        paths = find_documents(options.pdfs, Path(name))
        for embedded in (True, False):
            print(f"\n{'embedded JPEGs' if embedded else 'PDFs, rendered when read'}")
            documents = make_dataset(paths, Path(name), embedded=embedded)
            measure(documents, processor, options.packs, uint8=not options.float32, say=print)


if __name__ == "__main__":
    main()
