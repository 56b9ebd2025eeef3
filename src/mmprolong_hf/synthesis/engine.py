"""
Runs a stage over many documents on datatrove's executors, so that it survives being killed at any moment.

datatrove runs shards somewhere (`executors`). What it leaves open is closed here: items and shards are frozen on disk before
the first one starts, every item leaves one outcome that is written whole or not at all, an executor that returns with shards
undone is an error, and the outcomes are counted against the items at the end.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datatrove.pipeline.base import PipelineStep
from tqdm.auto import tqdm

from .executors import EngineOptions, run_shards

# A stage's work on one shard: its items that are left as (index, item), the folder for the shard's own files, settings, how many
# processes it may use, and whom to tell (index, outcome). Files that an outcome stands for are written before it is told.
Process = Callable[[list[tuple[int, dict]], Path, object, int, Callable[[int, dict], None]], None]


class Stage:
    """
    One stage of a build: a frozen list of items, and a folder in which each of them leaves an outcome.

    Args:
        folder (`Path`): Of this stage alone; made if it is not there. The same folder must always mean the same work, so its
            name should carry a fingerprint of the options.
        process (`Process`): Importable by name.
        settings: What `process` needs besides the items; pickled, and so without secrets.
    """

    def __init__(self, folder: Path, process: Process, settings: object):
        self.folder, self.process, self.settings = folder, process, settings

    def run(self, items: list[dict], options: EngineOptions, *, label: str, unit: str = "PDF") -> list[dict]:
        """
        Work on every item that has no outcome yet.

        Args:
            items (`list[dict]`): JSON-able; `"path"`, if there is one, is a file that workers read. Frozen at the first run; later
                runs must bring the same ones.
            options (`EngineOptions`): Where. The shards stay as they were at the first run.
            label (`str`): Of the progress bar.
            unit (`str`, *optional*, defaults to `"PDF"`): What an item is.

        Returns:
            `list[dict]`: The outcome of each item, in the order of the items.

        Raises:
            ValueError: if the folder was started with other items, or Hugging Face Jobs cannot be started or would not see it.
            RuntimeError: if shards were left undone, or outcomes do not match the items.
        """
        folder = self.folder.resolve()
        if options.kind == "jobs":
            options.jobs().check([folder, *(Path(item["path"]) for item in items if "path" in item)])
        num_shards = self._freeze(items, options)
        step = _Shard(str(folder), self.process, self.settings, options.num_proc)
        with self._progress(len(items), label, unit):
            undone = run_shards(step, num_shards, folder / "datatrove", options)
        if undone:
            raise RuntimeError(
                f"{label}: {len(undone)} of {num_shards} shards are not done, the first is {undone[0]}; its log is in "
                f"{self.folder / 'datatrove' / 'logs'}. Run the build again: finished documents are kept"
            )
        return self.outcomes()

    def outcomes(self) -> list[dict]:
        """
        The outcomes of a finished stage, in the order of its items.

        Raises:
            RuntimeError: if a shard has more or fewer outcomes than items, or one of another item.
        """
        num_shards, num_items = self._frozen()["num_shards"], self._frozen()["num_items"]
        found: list[dict | None] = [None] * num_items
        for shard in range(num_shards):
            lines = (self.folder / "outcomes" / f"{shard:05d}.jsonl").read_text(encoding="utf-8").splitlines()
            indices = range(shard, num_items, num_shards)
            if len(lines) != len(indices):
                raise RuntimeError(
                    f"shard {shard} of {self.folder} has {len(lines)} outcomes for {len(indices)} items"
                )
            for index, line in zip(indices, lines):
                found[index] = json.loads(line)
        return found

    def found(self) -> Iterator[dict]:
        """The outcomes so far, in no order."""
        for path in self.folder.glob("outcomes/*.jsonl"):
            yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())
        for path in self.folder.glob("parts/*/*.json"):
            if not (self.folder / "outcomes" / f"{path.parent.name}.jsonl").exists():
                yield json.loads(path.read_text(encoding="utf-8"))

    def part(self, index: int) -> Path:
        """Where the files of an item are, e.g. its row: `part(index)` is a path without suffix."""
        num_shards = self._frozen()["num_shards"]
        return self.folder / "parts" / f"{index % num_shards:05d}" / f"{index // num_shards:05d}"

    def progress(self) -> tuple[int, int]:
        """How many items have an outcome, and how many there are; (0, 0) before the first run."""
        if not (self.folder / "stage.json").exists():
            return 0, 0
        frozen = self._frozen()
        num_shards, num_items = frozen["num_shards"], frozen["num_items"]
        done = 0
        for shard in range(num_shards):
            if (self.folder / "outcomes" / f"{shard:05d}.jsonl").exists():
                done += len(range(shard, num_items, num_shards))
            else:
                done += sum(1 for _ in (self.folder / "parts" / f"{shard:05d}").glob("*.json"))
        return done, num_items

    def _freeze(self, items: list[dict], options: EngineOptions) -> int:
        digest = hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()
        path = self.folder / "stage.json"
        if not path.exists():
            num_shards = options.num_shards(len(items))
            for shard in range(num_shards):
                text = json.dumps(items[shard::num_shards])
                write_whole(self.folder / "items" / f"{shard:05d}.json", text.encode())
            frozen = {"num_shards": num_shards, "num_items": len(items), "digest": digest}
            write_whole(path, json.dumps(frozen).encode())
        frozen = self._frozen()
        if frozen["digest"] != digest:
            raise ValueError(
                f"{self.folder} was started with {frozen['num_items']} other items, now there are {len(items)}; remove it, or "
                "name another work folder"
            )
        return frozen["num_shards"]

    def _frozen(self) -> dict:
        return json.loads((self.folder / "stage.json").read_text(encoding="utf-8"))

    @contextmanager
    def _progress(self, total: int, label: str, unit: str) -> Iterator[None]:
        """A bar that counts outcomes on disk: it sees the work of other machines too."""
        stop = threading.Event()
        pause = max(1.0, total / 50_000)  # seconds; looking costs more the more there is
        first = self.progress()[0]
        with tqdm(total=total, initial=first, desc=label, unit=unit, smoothing=0.05) as bar:

            def look():
                while not stop.wait(pause):
                    bar.update(self.progress()[0] - bar.n)

            watcher = threading.Thread(target=look, daemon=True)
            watcher.start()
            try:
                yield
            finally:
                stop.set()
                watcher.join()
                bar.update(self.progress()[0] - bar.n)


class _Shard(PipelineStep):
    """The one step of a stage's pipeline. datatrove writes its attributes to a file: they hold no secret."""

    name = "mmprolong_hf"
    type = "stage"

    def __init__(self, folder: str, process: Process, settings: object, num_proc: int):
        super().__init__()
        self.folder, self.process, self.settings, self.num_proc = folder, process, settings, num_proc

    def run(self, data, rank: int = 0, world_size: int = 1) -> None:
        folder = Path(self.folder)
        outcomes = folder / "outcomes" / f"{rank:05d}.jsonl"
        if outcomes.exists():  # killed between this and datatrove's own mark
            return
        items = json.loads((folder / "items" / f"{rank:05d}.json").read_text(encoding="utf-8"))
        part = folder / "parts" / f"{rank:05d}"
        part.mkdir(parents=True, exist_ok=True)

        def record(index: int, outcome: dict) -> None:
            write_whole(part / f"{index:05d}.json", json.dumps(outcome).encode())

        left = [(k, item) for k, item in enumerate(items) if not (part / f"{k:05d}.json").exists()]
        self.process(left, part, self.settings, self.num_proc, record)
        lines = [(part / f"{k:05d}.json").read_text(encoding="utf-8") for k in range(len(items))]
        write_whole(outcomes, "".join(f"{line}\n" for line in lines).encode())
        for k in range(len(items)):
            (part / f"{k:05d}.json").unlink()


def write_whole(path: Path, data: bytes) -> None:
    """
    Write a file so that whoever finds it under its name finds all of it, whenever this is interrupted.

    Args:
        path (`Path`): Its folder is made if needed.
        data (`bytes`): What it shall hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
