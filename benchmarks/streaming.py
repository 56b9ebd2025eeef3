"""
What the size of row groups does to a set that is streamed over a network, as a Markdown table.

    python benchmarks/streaming.py FOLDER [--megabytes 8 32 90 256] [--copies 2] [--rate 50] [--latency 50]

FOLDER holds PDFs, from which a set is built, or is a built set. For each size (MiB of a row group) its rows are written, all of them
--copies times so that there are several of the largest groups, and read through a server on this machine that answers Range requests
after --latency milliseconds and sends --rate MB/s in all. Each reading has a process of its own. Images are not decoded: this
measures what is read. Bytes are exact; seconds are those of the whole machine, so nothing else should run.

- first row: `load_dataset(..., streaming=True)`, from its call until the first row is there;
- a random row: the footer of its file and its row group, as the Hub's viewer reads it; the median of some;
- one pass: every row by `load_dataset(..., streaming=True)`, and the peak of the process's memory.
"""

import argparse
import multiprocessing
import random
import re
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Image, List, load_dataset

from mmprolong_hf.synthesis import output
from mmprolong_hf.synthesis.output import VIEWER_BYTES, write_documents
from mmprolong_hf.synthesis.output_folder import REPORT
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

MIB = 2**20
PIECE = 256 * 1024  # bytes that are sent at a time
RANDOM_ROWS = 5
HEAD = "row group | groups | largest, of 286.1 | on disk | first row | read | random row | read | one pass | read | peak memory"


class Server(ThreadingHTTPServer):
    """
    Serves a folder, slowly, and counts.

    Args:
        folder (`Path`): What is served.
        rate (`float`): Bytes a second, of all connections together.
        latency (`float`): Seconds before each answer.
    """

    daemon_threads = True

    def __init__(self, folder: Path, rate: float, latency: float):
        super().__init__(("127.0.0.1", 0), Connection)
        self.folder, self.rate, self.latency = folder, rate, latency
        self.lock, self.free, self.sent = threading.Lock(), 0.0, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that has read enough hangs up; nothing else is expected."""

    def wait_for(self, size: int) -> None:
        """Until so many bytes have their turn on the one line that all connections share."""
        with self.lock:
            self.free = max(self.free, time.monotonic()) + size / self.rate
            self.sent += size
            until = self.free
        time.sleep(max(0.0, until - time.monotonic()))


class Connection(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        path, first, last = self.answer()
        with path.open("rb") as file:
            file.seek(first)
            for start in range(first, last + 1, PIECE):
                piece = file.read(min(PIECE, last + 1 - start))
                self.server.wait_for(len(piece))
                self.wfile.write(piece)

    def answer(self) -> tuple[Path, int, int]:
        time.sleep(self.server.latency)
        path = self.server.folder / self.path.lstrip("/")
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        return path, first, last


def stream(urls: list[str]) -> Iterator[dict]:
    rows = load_dataset("parquet", data_files=urls, split="train", streaming=True)
    return iter(rows.cast_column("images", List(Image(decode=False))))


def first_row(urls: list[str]) -> None:
    next(stream(urls))


def whole_pass(urls: list[str]) -> None:
    for _ in stream(urls):
        pass


def random_row(urls: list[str], seed: int) -> None:
    with fsspec.open(random.Random(seed).choice(urls), "rb") as file:
        table = pq.ParquetFile(file)
        table.read_row_group(random.Random(seed).randrange(table.num_row_groups))


def measure(server: Server, function: Callable, *args) -> dict[str, float]:
    """Seconds and bytes of a reading in a process of its own, and the peak of its memory."""
    sent = server.sent
    with multiprocessing.get_context("spawn").Pool(
        1
    ) as pool:  # it is killed: one that reads ahead does not end by itself
        seconds, memory = pool.apply(timed, (function, *args))
    return {"seconds": seconds, "bytes": server.sent - sent, "memory": memory}


def timed(function: Callable, *args) -> tuple[float, int]:
    began = time.perf_counter()
    function(*args)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def copied(folder: Path, copies: int) -> Iterator[pa.Table]:
    """
    The documents of a built set one by one, in its order, so often, under ids of their own. All of it is there before any of it is
    there again: what is twice in one row group is written once.
    """
    for copy in range(copies):
        for path in sorted((folder / "data").glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(batch_size=1):
                rows = pa.Table.from_batches([batch])
                name = pa.array([f"{rows['doc_id'][0]}-{copy}"])
                yield rows.set_column(rows.schema.get_field_index("doc_id"), "doc_id", name)


def measure_size(folder: Path, megabytes: int, args: argparse.Namespace) -> dict:
    """Writes the rows in groups of one size, and reads them."""
    with tempfile.TemporaryDirectory() as scratch:
        output.ROW_GROUP_BYTES = megabytes * MIB
        write_documents(copied(folder, args.copies), Path(scratch), "train")
        files = sorted(Path(scratch, "data").iterdir())
        found = [pq.read_metadata(path) for path in files]
        groups = [data.row_group(k).total_byte_size for data in found for k in range(data.num_row_groups)]
        facts = {"megabytes": megabytes, "rows": sum(data.num_rows for data in found), "groups": len(groups)}
        facts |= {"largest": max(groups), "disk": sum(path.stat().st_size for path in files)}
        with Server(Path(scratch, "data"), args.rate * 1e6, args.latency / 1e3) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            urls = [f"{server.url}/{path.name}" for path in files]
            rows = [measure(server, random_row, urls, seed) for seed in range(RANDOM_ROWS)]
            facts["random"] = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
            facts |= {"first": measure(server, first_row, urls), "all": measure(server, whole_pass, urls)}
            server.shutdown()
    return facts


def line(facts: dict) -> str:
    """A row of the table: times in seconds, amounts in MiB."""
    cells = [
        str(facts["megabytes"]),
        str(facts["groups"]),
        f"{facts['largest'] / MIB:.1f}",
        f"{facts['disk'] / MIB:,.1f}",
    ]
    for name in ("first", "random", "all"):
        cells += [f"{facts[name]['seconds']:.2f}", f"{facts[name]['bytes'] / MIB:,.1f}"]
    return f"| {' | '.join([*cells, format(facts['all']['memory'] / MIB, ',.0f')])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="PDFs, or a built set")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[8, 32, 90, 256], help="MiB of a row group")
    parser.add_argument("--copies", type=int, default=2, help="of each document")
    parser.add_argument("--rate", type=float, default=50, help="MB/s of the network")
    parser.add_argument("--latency", type=float, default=50, help="ms before each answer")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder
        if not (folder / REPORT).exists():
            folder = Path(scratch, "set")
            build_dataset(folder_plan(args.folder, {"output": str(folder)}))
        sizes = [table.nbytes for table in copied(folder, 1)]
        print(
            f"{len(sizes)} documents of {min(sizes) / MIB:.1f} to {max(sizes) / MIB:.1f} MiB, {args.copies} times; "
            f"{sum(size > VIEWER_BYTES for size in sizes)} of them larger than the viewer reads\n"
        )
        print(f"| {HEAD} |\n|{' ---: |' * (HEAD.count('|') + 1)}")
        for megabytes in args.megabytes:
            print(line(measure_size(folder, megabytes, args)), flush=True)


if __name__ == "__main__":
    main()
