import os
import tempfile

# Before any Hugging Face library is imported. The cache is the run's own: datasets finds local folders of one name in it again,
# whatever they hold now.
CACHE = tempfile.TemporaryDirectory(prefix="mmprolong-datasets-")
os.environ["HF_DATASETS_CACHE"] = CACHE.name
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
# Tiny models run faster on one thread, and workers of a parallel test run do not fight for cores.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For processes that a test starts: the commands installed beside this Python come first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
