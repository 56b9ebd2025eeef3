"""`mmprolong publish dataset` as a user sees it."""

import json
import shutil

from built_sets import sets
from command_line import mmprolong
from loopback_hub import LoopbackHub


def test_notes_are_lines_of_the_program_and_what_was_published_is_on_stdout(tmp_path, environment):
    folder = shutil.copytree(sets().images, tmp_path / "my set")
    report = json.loads((folder / "build_report.json").read_text())
    (folder / "build_report.json").write_text(json.dumps(report | {"licenses": {"": 3}}))
    with LoopbackHub() as hub:
        shown = environment | hub.environment | {"PYTHONWARNINGS": "default::UserWarning"}
        done = mmprolong("publish", "dataset", "my set", "tester/reports", environment=shown, cwd=tmp_path)
        (newest, _) = hub.commits("dataset", "tester/reports")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "note: the pages of 3 documents are published, and no licence of theirs was told\n" in done.stderr
    assert "UserWarning" not in done.stderr
    assert done.stdout.splitlines()[-1] == f"{hub.url}/datasets/tester/reports/tree/{newest.sha}"
