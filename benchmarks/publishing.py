"""
`mmprolong publish dataset` to a Hub on loopback: killed with SIGKILL when its 1st, 2nd, ... request arrives, and through faults.

    python benchmarks/publishing.py [FOLDER] [--documents 6] [--seeds 20]

FOLDER holds PDFs; without it they are drawn. A set of half of them is published first (or nothing), and the push of the whole set is
killed. Then the branch must hold one of the two sets, all of it, and the same command must end with the bytes of a push that nobody
disturbed. With the faults a tenth of the requests each is answered 429 or 500, cut, done but not answered, or slow.
"""

import argparse
import copy
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from loopback_hub import LoopbackHub, seeded_faults
from synthetic_pdf import report

from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

REPO = ("dataset", "tester/reports")
FAULTS = dict.fromkeys(("429", "500", "cut", "lost", "slow"), 0.1)


def make_sets(folder: Path | None, scratch: Path, count: int) -> tuple[Path, Path]:
    """The set of half of the smallest PDFs, and that of all `count` of them."""
    if folder is None:
        folder = scratch / "pdfs"
        folder.mkdir()
        for i in range(count):
            report(folder / f"{i}.pdf", chapters=4 + i, titles=[f"Matter {i} {c}" for c in range(4 + i)])
    pdfs = sorted(folder.glob("*.pdf"), key=lambda path: path.stat().st_size)[:count]
    for name, chosen in {"half": pdfs[::2], "whole": pdfs}.items():
        (scratch / f"{name}.txt").write_text("\n".join(str(path.resolve()) for path in chosen))
        changes = {"pdfs": str(scratch / f"{name}.txt"), "output": str(scratch / name)}
        print(build_dataset(folder_plan(folder, changes)), flush=True)
    return scratch / "half", scratch / "whole"


def start(hub: LoopbackHub, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "mmprolong_hf.cli", "publish", "dataset", str(folder), REPO[1]]
    environment = os.environ | hub.environment
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def publish(hub: LoopbackHub, folder: Path) -> tuple[int, int, float]:
    """Undisturbed by a kill: uploaded bytes, requests, seconds."""
    uploaded, requests, began = hub.uploaded_bytes, len(hub.requests), time.perf_counter()
    child = start(hub, folder)
    errors = child.communicate()[1]
    assert child.returncode == 0, errors[-3000:]
    hub.drain()
    return hub.uploaded_bytes - uploaded, len(hub.requests) - requests, time.perf_counter() - began


def killed(hub: LoopbackHub, folder: Path, request: int) -> str:
    """Starts a push and kills it when its request with this number arrives; returns the request, `""` if it never came."""
    last = len(hub.requests) + request
    seen = []

    def on_request(number: int, method: str, path: str) -> None:
        if number == last:
            child.kill()
            seen.append(f"{method} {path}")

    hub.on_request = on_request
    child = start(hub, folder)
    child.communicate()
    hub.on_request = None
    hub.drain()
    return seen[0] if seen else ""


def state(hub: LoopbackHub, sets: dict[str, dict[str, bytes]]) -> str:
    """Which of the sets the branch holds; the empty repository is there as soon as it is made."""
    if REPO not in hub.storage.repositories:
        return "nothing"
    files = hub.files(*REPO)
    holds = [name for name, expected in sets.items() if files == expected]
    assert holds, f"neither one nor the other: {sorted(files)}"
    return holds[0]


def show_kills(hub: LoopbackHub, folder: Path, before: dict, sets: dict[str, dict[str, bytes]], whole: int) -> None:
    """A line for each request: what it was, what the branch holds after the kill, what the same command then uploads."""
    print(f"{'kill at':>8}  {'the branch holds':18}{'uploaded by the repeat':>24}  request")
    for number in itertools.count(1):
        hub.storage.repositories = copy.deepcopy(before)
        if not (request := killed(hub, folder, number)):
            break
        seen = state(hub, sets)
        uploaded, _, _ = publish(hub, folder)
        assert state(hub, sets) == "whole"
        commits = len(hub.commits(*REPO)) - len(before[REPO].commits if REPO in before else [None])
        assert commits == 1, f"{commits} commits"
        print(f"{number:8}  {seen:18}{uploaded:12,} of {whole:9,}  {shorter(request)}", flush=True)
    print(f"{number - 1} kills: always one set or the other, and in the end the same bytes in one commit")


def shorter(request: str) -> str:
    return f"{request[:60]}..." if len(request) > 60 else request


def show_faults(hub: LoopbackHub, folder: Path, sets: dict[str, dict[str, bytes]], seeds: int) -> None:
    for seed in range(seeds):
        hub.storage.repositories = {}
        hub.shown.clear()
        hub.failed.clear()
        hub.requests.clear()  # a seed's faults go by the number of the request
        hub.faults = seeded_faults(seed, FAULTS)
        uploaded, requests, seconds = publish(hub, folder)
        hub.faults = None
        assert state(hub, sets) == "whole"
        assert len(hub.commits(*REPO)) == 2
        faults = ", ".join(f"{name} {hub.shown[name]}" for name in FAULTS)
        print(f"seed {seed:2}: {requests:3} requests, {uploaded:10,} bytes, {seconds:5.1f} s; {faults}", flush=True)
    print(f"{seeds} of {seeds} pushes ended with the same bytes in one commit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--documents", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, LoopbackHub(bytes_per_second=5_000_000) as hub:
        half, whole = make_sets(args.folder, Path(scratch), args.documents)
        print("\nfrom nothing", flush=True)
        undisturbed, _, _ = publish(hub, whole)
        files = hub.files(*REPO)
        print(f"{len(files)} files, {sum(map(len, files.values())):,} bytes")
        uploaded, requests, seconds = publish(hub, whole)
        assert (uploaded, len(hub.commits(*REPO))) == (0, 2)
        print(f"pushed again: 0 bytes, no commit, {requests} requests, {seconds:.1f} s")
        nothing = {".gitattributes": hub.files(*REPO, hub.commits(*REPO)[-1].sha)[".gitattributes"]}
        show_kills(hub, whole, {}, {"nothing": nothing, "whole": files}, undisturbed)
        print("\nover the half", flush=True)
        hub.storage.repositories = {}
        publish(hub, half)
        before = copy.deepcopy(hub.storage.repositories)
        earlier = hub.files(*REPO)
        undisturbed, _, _ = publish(hub, whole)
        assert hub.files(*REPO) == files, "the set depends on what was there before"
        show_kills(hub, whole, before, {"half": earlier, "whole": files}, undisturbed)
        print("\nthrough faults, from nothing", flush=True)
        show_faults(hub, whole, {"whole": files}, args.seeds)


if __name__ == "__main__":
    main()
