"""Where a stage runs: datatrove's executors on processes of this machine, Ray, Slurm or Hugging Face Jobs."""

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.executor.ray import RayPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from .jobs import JobsExecutor, JobsOptions
from .yaml_options import read_options

KINDS = ("local", "ray", "slurm", "jobs")
LOCAL_SHARD = 1024  # local workers share a shard, so a large one leaves none of them idle at its end
REMOTE_SHARD = 64
SHARDS_PER_WORKER = 4
SLURM_PAUSE = 10.0  # seconds between looks at a job


@dataclass(frozen=True)
class EngineOptions:
    """
    Where a build runs.

    Args:
        kind (`str`, *optional*, defaults to `"local"`): `"local"` processes, `"ray"` (the cluster of `RAY_ADDRESS`, or this machine),
            `"slurm"` or `"jobs"` (Hugging Face Jobs). All nodes must see the PDFs and the work folder.
        workers (`int`, *optional*, defaults to `2`): Documents read at a time.
        documents_per_shard (`int`, *optional*): Found from the number of documents and workers if not given.
        options (`dict`, *optional*): Passed on to datatrove's executor, e.g. `partition` and `time` of Slurm; for `"jobs"` the
            fields of `JobsOptions`.

    Raises:
        ValueError: for an unknown kind, a number below 1, or options that `JobsOptions` refuses.

    Example:

    ```python
    >>> EngineOptions("ray", workers=8).num_shards(1000), EngineOptions(workers=8).num_shards(1000)
    (33, 1)
    >>> EngineOptions("spark")
    Traceback (most recent call last):
    ...
    ValueError: engine kind is 'spark', expected one of local, ray, slurm, jobs

    ```
    """

    kind: str = "local"
    workers: int = 2
    documents_per_shard: int | None = None
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"engine kind is {self.kind!r}, expected one of {', '.join(KINDS)}")
        for name in ("workers", "documents_per_shard"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        if self.kind == "jobs":
            self.jobs()

    @property
    def num_proc(self) -> int:
        """How many processes read the documents of one shard."""
        return self.workers if self.kind == "local" else 1

    def num_shards(self, num_items: int) -> int:
        """In how many shards so many items are worked on."""
        size = self.documents_per_shard
        if size is None and self.kind == "local":
            size = LOCAL_SHARD
        elif size is None:
            size = min(REMOTE_SHARD, max(1, num_items // (self.workers * SHARDS_PER_WORKER)))
        return max(1, -(-num_items // size))

    def jobs(self) -> JobsOptions:
        """The options of Hugging Face Jobs."""
        return read_options(JobsOptions, self.options, "engine.options")


def run_shards(step: PipelineStep, num_shards: int, folder: Path, options: EngineOptions) -> list[int]:
    """
    Run a pipeline of one step once for each shard that is not marked as done.

    Args:
        step (`PipelineStep`): datatrove's; `rank` tells it the shard. Pickled for other machines, and so without secrets.
        num_shards (`int`): How many there are.
        folder (`Path`): For datatrove's marks and logs.
        options (`EngineOptions`): Where.

    Returns:
        `list[int]`: Shards that were left undone.
    """
    logger.disable("datatrove")  # its log would run through the bar; failures are outcomes here, not log lines
    try:
        executor = _executor([step], num_shards, folder, options)
        executor.run()
        if options.kind == "slurm":
            _wait_for_slurm(executor)
    finally:
        logger.enable("datatrove")
    return executor.get_incomplete_ranks()  # datatrove's Ray executor returns normally when ranks failed


def _executor(pipeline: list, num_shards: int, folder: Path, options: EngineOptions) -> PipelineExecutor:
    if options.kind == "jobs":
        return JobsExecutor(pipeline, num_shards, options.workers, folder, options.jobs())
    common = {"tasks": num_shards, "logging_dir": str(folder), **options.options}
    if options.kind == "local":
        return _InThisProcess(pipeline, workers=1, **common)
    if options.kind == "ray":
        import ray

        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        return RayPipelineExecutor(pipeline, workers=options.workers, **common)
    return SlurmPipelineExecutor(pipeline, workers=options.workers, **common)


class _InThisProcess(LocalPipelineExecutor):
    """
    The local executor without its pool: a shard has worker processes of its own.

    Its `run` starts a manager process by fork even for one worker (0.10), which outlives a killed build with all its open files.
    """

    def run(self) -> None:
        self.save_executor_as_json()
        for rank in self.get_incomplete_ranks():
            self._run_for_rank(rank)


def _wait_for_slurm(executor: SlurmPipelineExecutor) -> None:
    """Until all shards are done, or Slurm knows the job no more; datatrove itself returns as soon as it has submitted."""
    while executor.get_incomplete_ranks():
        queued = subprocess.run(["squeue", "-h", "-j", str(executor.job_id)], capture_output=True, text=True)
        if not queued.stdout.strip():
            return
        time.sleep(SLURM_PAUSE)
