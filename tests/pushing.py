"""A push in a process of its own: python pushing.py REPO_ID FOLDER [OPTIONS as JSON]."""

import json
import random
import subprocess
import sys
from pathlib import Path

from loopback_hub import LoopbackHub

from mmprolong_hf.hub import push as pushes
from mmprolong_hf.hub.card import Card

REPO = "tester/set"
CARD = "---\nlicense: mit\n---\n\n# A set\n\n## Size\n\n{size} files.\n\n## Limits\n\nNone known.\n"


def write(folder: Path, seed: int, shards: int = 3) -> Path:
    """A set of some shards, which the Hub keeps as large files, and a small file."""
    for k in range(shards):
        path = folder / "data" / f"train-{k:05d}-of-{shards:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(f"{seed} {k}").randbytes(30_000))
    (folder / "build_report.json").write_text(f'{{"seed": {seed}}}')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def held(hub: LoopbackHub) -> dict[str, bytes]:
    """What a reader of the branch sees, without the card and the Hub's own file."""
    return {k: v for k, v in hub.files("dataset", REPO).items() if k not in ("README.md", ".gitattributes")}


def start(hub: LoopbackHub, folder: Path, environment, **options) -> subprocess.Popen:
    command = [sys.executable, __file__, options.pop("repo_id", REPO), str(folder), json.dumps(options)]
    env = environment | hub.environment
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def push(hub: LoopbackHub, folder: Path, environment, **options) -> tuple[int, str]:
    done = start(hub, folder, environment, **options)
    out, err = done.communicate(timeout=120)
    assert hub.token not in out + err
    return done.returncode, out + err


def main(repo_id: str, folder: str, options: str = "{}") -> None:
    files = {p.relative_to(folder).as_posix(): p for p in sorted(Path(folder).rglob("*")) if p.is_file()}
    card = Card.parse(CARD.format(size=len(files)))
    try:
        pushed = pushes.push(repo_id, "dataset", files, card, owned=["data/*"], message="Push", **json.loads(options))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    print(pushed)


if __name__ == "__main__":
    main(*sys.argv[1:])
