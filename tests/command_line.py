"""The `mmprolong` command in a process of its own, as a user starts it."""

import subprocess
import sys


def command(*words) -> list[str]:
    return [sys.executable, "-m", "mmprolong_hf.cli", *map(str, words)]


def mmprolong(*words, environment, cwd) -> subprocess.CompletedProcess:
    return subprocess.run(command(*words), env=environment, cwd=cwd, capture_output=True, text=True)
