"""
What a build survives, on a folder of real PDFs.

    python benchmarks/faults.py kills FOLDER [--kills 20]      kill -9 at random moments: the same files as an uninterrupted build
    python benchmarks/faults.py mutations FOLDER [--count 500] damaged PDFs: the build ends, and each is built or named
    python benchmarks/faults.py server FOLDER                  a teacher whose server fails: every question accounted for, paid once

The teacher is a script on this machine (tests/scripted_teacher.py) that is asked over HTTP as a model would be.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from scripted_server import FAULTS, ScriptedServer, seeded_faults
from scripted_teacher import Teacher, learn

from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import BuildPlan, folder_plan
from mmprolong_hf.synthesis.yaml_options import read_options

BUILD = [sys.executable, "-m", "mmprolong_hf.cli", "build"]


def digests(folder: Path) -> dict[str, str]:
    """Every file of a dataset but the report, which holds the time it took."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "build_report.json"
    }


def kills(folder: Path, scratch: Path, wanted: int) -> None:
    def command(name: str) -> list[str]:
        plan = {
            "pdfs": str(folder.resolve()),
            "output": str(scratch / "set"),
            "work": str(scratch / name),
            "pool": {"min_pages": 1},
        }
        (scratch / f"{name}.yaml").write_text(yaml.safe_dump(plan))
        return [*BUILD, str(scratch / f"{name}.yaml")]

    began = time.monotonic()
    subprocess.run(command("whole"), check=True, capture_output=True)
    whole, seconds = digests(scratch / "set"), time.monotonic() - began
    print(f"uninterrupted: {seconds:.0f} s, {len(whole)} files")
    rng, done, runs, moments = random.Random(0), 0, 0, []
    while done < wanted:
        runs += 1
        for path in sorted((scratch / "set").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        while True:
            run = subprocess.Popen(command(f"killed{runs}"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                code = run.wait(timeout=rng.uniform(0.5, seconds / 3) if done < wanted else None)
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                done += 1
                moments.append(len(list((scratch / f"killed{runs}").rglob("parts/*/*.json"))))
                continue
            assert code == 0, code
            break
        same = digests(scratch / "set") == whole
        print(f"run {runs}: {done} kills so far, the same files: {same}")
        assert same
    print(f"outcomes on disk at the kills: {moments}")


def mutate(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """A damaged copy, and what was done to it."""
    kind = rng.choice(
        ("flip bytes", "delete a block", "repeat a block", "zero a block", "cut the end", "swap two blocks")
    )
    data = bytearray(data)
    size = rng.randrange(1, max(2, len(data) // 20))
    at, other = sorted(rng.randrange(len(data)) for _ in range(2))
    if kind == "flip bytes":
        for _ in range(rng.randrange(1, 200)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == "delete a block":
        del data[at : at + size]
    elif kind == "repeat a block":
        data[at:at] = data[other : other + size]
    elif kind == "zero a block":
        data[at : at + size] = bytes(len(data[at : at + size]))
    elif kind == "cut the end":
        del data[rng.randrange(len(data) // 4, len(data)) :]
    else:
        first, second = data[at : at + size], data[other : other + size]
        data[other : other + size], data[at : at + size] = first, second
    return kind, bytes(data)


def mutations(folder: Path, scratch: Path, count: int) -> None:
    rng = random.Random(0)
    originals = sorted(folder.glob("*.pdf"), key=lambda path: path.stat().st_size)[:12]
    (scratch / "pdfs").mkdir()
    kinds = {}
    for k in range(count):
        kind, data = mutate(rng.choice(originals).read_bytes(), rng)
        kinds[f"{k:04d}.pdf"] = kind
        (scratch / "pdfs" / f"{k:04d}.pdf").write_bytes(data)
    changes = {
        "output": str(scratch / "set"),
        "pages.dpi": 36,
        "pages.store": "pdf",
        "pages.time_limit": 60,
        "pool.near_duplicates": None,
    }
    report = build_dataset(folder_plan(scratch / "pdfs", changes))
    named = set(report.accepted) | set(report.rejected)
    print(
        f"{count} damaged PDFs: {len(report.accepted)} built, {len(report.rejected)} named, {count - len(named)} lost"
    )
    assert named == set(kinds)
    assert not set(report.accepted) & set(report.rejected)
    print(f"{report.seconds:.0f} s; reasons: {report.rejected_by_reason}")
    print("\n| damage | built | named |\n|---|---:|---:|")
    for kind, number in sorted(Counter(kinds.values()).items()):
        built = sum(kinds[name] == kind for name in report.accepted)
        print(f"| {kind} | {built} | {number - built} |")


def server(folder: Path, scratch: Path, count: int) -> None:
    pdfs = sorted(folder.glob("*.pdf"), key=lambda path: path.stat().st_size)[:count]
    (scratch / "list.txt").write_text("\n".join(str(path.resolve()) for path in pdfs))
    known = learn(pdfs, dpi=36)
    tasks = {"extract-single": 12, "extract-multi": 8, "reasoning": 6}

    def build(name: str, faults) -> tuple[list[dict], dict, ScriptedServer]:
        with ScriptedServer(Teacher(known), faults) as teacher:
            model = {"model": "a-teacher", "base_url": teacher.url, "backoff": 0.02, "timeout": 3.0, "max_retries": 12}
            values = {
                "pdfs": str(scratch / "list.txt"), "output": str(scratch / name), "pages": {"dpi": 36}, "pool": {"min_pages": 1},
                "teacher": {**model, "prompt_price": 1.0, "completion_price": 1.0}, "asking": {"tasks": tasks, "questions_per_call": 1},
            }  # fmt: skip
            report = build_dataset(read_options(BuildPlan, values, "the benchmark"))
            print(report)
        return list(read_rows(scratch / name, "train", part="questions")), report.models["a-teacher"], teacher

    clean, _, _ = build("clean", lambda index: "")
    faulty, bill, teacher = build("faulty", seeded_faults(0))
    print(f"\nshares of faults: {FAULTS}; shown: {dict(teacher.shown)} of {len(teacher.requests)} requests")
    print(f"the same questions as without faults: {faulty == clean} ({len(clean)})")
    print(f"replies delivered twice: {sum(n > 1 for n in teacher.delivered.values())} of {len(teacher.delivered)}")
    charged = teacher.tokens.total() / 1e6
    print(
        f"the server charged {charged:.4f} USD; the ledger holds {bill['usd']:.4f}, and up to {bill['unsettled_usd']:.4f} whose bill never came"
    )
    assert faulty == clean
    assert bill["usd"] <= charged <= bill["usd"] + bill["unsettled_usd"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "mutations", "server"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--count", type=int, default=None, help="damaged PDFs (500), or documents of the teacher (6)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        if args.what == "kills":
            kills(args.folder, Path(scratch), args.kills)
        elif args.what == "mutations":
            mutations(args.folder, Path(scratch), args.count or 500)
        else:
            server(args.folder, Path(scratch), args.count or 6)


if __name__ == "__main__":
    main()
