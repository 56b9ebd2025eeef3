"""A push in a process of its own: python pushing.py REPO_ID FOLDER [OPTIONS as JSON]."""

import json
import sys
from pathlib import Path

from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.push import push

CARD = "---\nlicense: mit\n---\n\n# A set\n\n## Size\n\n{size} files.\n\n## Limits\n\nNone known.\n"


def main(repo_id: str, folder: str, options: str = "{}") -> None:
    files = {p.relative_to(folder).as_posix(): p for p in sorted(Path(folder).rglob("*")) if p.is_file()}
    card = Card.parse(CARD.format(size=len(files)))
    try:
        pushed = push(repo_id, "dataset", files, card, owned=["data/*"], message="Push", **json.loads(options))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    print(pushed)


if __name__ == "__main__":
    main(*sys.argv[1:])
