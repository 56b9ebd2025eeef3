"""
A stage on Hugging Face Jobs that share its folder through a bucket.

datatrove has an executor for Jobs, but it hands them no volume and wants its own folder in a remote file system that a stage
does not write to. Here the bucket is a file system: mounted at one path in every Job and where the build itself runs. Such a
mount is no ordinary one: what another machine wrote is seen some seconds late, and locks do not reach other machines
(https://github.com/huggingface/hf-mount, "Consistency model"). So a shard is one Job's at a time, the pickle is named after its
content, and both sides wait for what they do not see yet.
"""

import hashlib
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from datatrove.executor.base import PipelineExecutor
from datatrove.executor.jobs import JobsPipelineExecutor
from huggingface_hub import HfApi, JobInfo, Volume, get_token
from huggingface_hub.errors import HfHubHTTPError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"  # a pickle is read where it was written
ATTEMPTS = 2
ENDED = {"COMPLETED", "ERROR", "CANCELED", "DELETED"}
LABEL = "mmprolong_hf"
PAUSE = 15.0  # seconds between looks at the Jobs
SEEN_AFTER = 120.0  # seconds; a mount polls every 30 and may hold back what it writes for 30 more


@dataclass(frozen=True)
class JobsOptions:
    """
    Which Jobs a build starts. They run in the namespace of the bucket, get no token, and need none.

    Args:
        bucket (`str`): That holds the PDFs and the work folder, e.g. `"user/pdfs"`.
        mount_path (`str`): Where it is mounted, here and in every Job, e.g. `"/data"`.
        dependencies (`tuple[str]`): What a Job installs (PEP 508): this package as it is here, e.g. a wheel in the bucket.
        flavor (`str`, *optional*, defaults to `"cpu-basic"`): Hardware of a Job.
        timeout (`str`, *optional*, defaults to `"6h"`): Of a Job, whose shards are its share of all; a number and s, m, h or d.
        image (`str`, *optional*): With `uv` in it; Astral's for the Python that runs here if not given.

    Raises:
        ValueError: for another form of bucket, path or time, or no dependencies.

    Example:

    ```python
    >>> JobsOptions("user/pdfs", "/data", ("mmprolong_hf[pdf] @ file:///data/mmprolong_hf-0.1.0-py3-none-any.whl",)).flavor
    'cpu-basic'
    >>> JobsOptions("pdfs", "/data", ("mmprolong_hf",))
    Traceback (most recent call last):
    ...
    ValueError: bucket is 'pdfs', expected 'user/name' or 'organisation/name'

    ```
    """

    bucket: str
    mount_path: str
    dependencies: tuple[str, ...]
    flavor: str = "cpu-basic"
    timeout: str = "6h"
    image: str | None = None

    def __post_init__(self):
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.bucket):
            raise ValueError(f"bucket is {self.bucket!r}, expected 'user/name' or 'organisation/name'")
        if not Path(self.mount_path).is_absolute() or Path(self.mount_path) == Path("/"):
            raise ValueError(f"mount_path is {self.mount_path!r}, expected an absolute path below /")
        if not self.dependencies:
            raise ValueError("dependencies is empty, expected what a Job must install, this package among it")
        if not re.fullmatch(r"\d+[smhd]", self.timeout):
            raise ValueError(f"timeout is {self.timeout!r}, expected a number and s, m, h or d, e.g. '6h'")

    @property
    def namespace(self) -> str:
        """Who runs the Jobs, and pays for them: the owner of the bucket."""
        return self.bucket.split("/")[0]

    def check(self, paths: Iterable[Path]) -> None:
        """
        Whether Jobs can be started, and will find what they work on.

        Args:
            paths (`Iterable[Path]`): That a Job reads or writes.

        Raises:
            ValueError: for a path outside the bucket, or if there is no token to start Jobs with.
        """
        for path in paths:
            if not path.resolve().is_relative_to(self.mount_path):
                raise ValueError(
                    f"{path.resolve()} is not below {self.mount_path}, where Jobs see the bucket {self.bucket}; put the PDFs and "
                    "the work folder (`work`) there"
                )
        if not get_token():
            raise ValueError(
                "no token of Hugging Face to start Jobs with; set HF_TOKEN, or log in with `hf auth login`"
            )


class JobsExecutor(JobsPipelineExecutor):
    """
    datatrove's executor for Jobs, with its way of running one shard and another way of starting Jobs.

    Each Job gets its share of the shards that are undone. What a Job did is told by the marks of its shards alone, and what it
    left undone another Job tries once more. Jobs that are not over are cancelled when this ends, however that is, and those of
    an earlier run that was killed before new ones start.

    Args:
        pipeline (`list`): datatrove's; pickled.
        tasks (`int`): Number of shards.
        workers (`int`): Jobs at a time.
        folder (`Path`): In the bucket, for marks, logs and the pickle.
        options (`JobsOptions`): Which Jobs.
    """

    def __init__(self, pipeline: list, tasks: int, workers: int, folder: Path, options: JobsOptions):
        # not that of datatrove's executor for Jobs: it refuses a mounted folder (0.10)
        PipelineExecutor.__init__(self, pipeline, str(folder.resolve()))
        self.tasks, self.workers, self.options = tasks, workers, options
        self.label = hashlib.sha256(f"{options.bucket} {folder.resolve()}".encode()).hexdigest()[:16]

    def run(self) -> None:
        """
        Raises:
            RuntimeError: if shards are undone after the last attempt.
        """
        jobs = []
        for _ in range(ATTEMPTS):
            if not (undone := self.get_incomplete_ranks()):
                return
            jobs = self._run_jobs(HfApi(token=get_token()), undone)
        if undone := self.get_incomplete_ranks():
            url = next(job.url for job, share in jobs if undone[0] in share)
            raise RuntimeError(
                f"{len(undone)} of {self.tasks} shards are not done after {ATTEMPTS} Jobs, the first is {undone[0]}; see {url} "
                f"and {self.logging_dir.resolve_paths('logs')}. Run the build again: finished documents are kept"
            )

    def _run_jobs(self, api: HfApi, undone: list[int]) -> list[tuple[JobInfo, list[int]]]:
        """Starts a Job for each share of these shards, and comes back when all are over."""
        self._cancel(api)
        data = pickle.dumps(self)
        path = Path(self.logging_dir.resolve_paths(f"{hashlib.sha256(data).hexdigest()[:16]}.pickle"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)  # the last file that is written before the Jobs start: who sees it sees the others
        shares = [undone[k :: self.workers] for k in range(min(self.workers, len(undone)))]
        try:
            jobs = [(self._start(api, path, share), share) for share in shares]
            stages = {job.id: job.status.stage for job, _ in jobs}
            while not ENDED.issuperset(stages.values()):
                time.sleep(PAUSE)
                stages = self._stages(api)
        finally:
            self._cancel(api)
        completed = [rank for job, share in jobs if stages.get(job.id) == "COMPLETED" for rank in share]
        _wait_until(lambda: not self.get_incomplete_ranks(completed))
        return jobs

    def _start(self, api: HfApi, path: Path, share: list[int]) -> JobInfo:
        # not `run_uv_job`: it takes the pickle for a file that the Job cannot see, and uploads a copy
        install = [word for dependency in self.options.dependencies for word in ("--with", dependency)]
        command = ["python", "-m", "mmprolong_hf.synthesis.jobs", str(path), *map(str, share)]
        return api.run_job(
            image=self.options.image or f"ghcr.io/astral-sh/uv:python{PYTHON}-bookworm",
            command=["uv", "run", "--python", PYTHON, *install, *command],
            flavor=self.options.flavor,
            timeout=self.options.timeout,
            labels={LABEL: self.label},
            volumes=[Volume(type="bucket", source=self.options.bucket, mount_path=self.options.mount_path)],
            namespace=self.options.namespace,
        )

    def _stages(self, api: HfApi) -> dict[str, str]:
        """Of all Jobs of this work, of earlier runs too. One request for all, which huggingface_hub repeats if it fails."""
        listed = api.list_jobs(labels={LABEL: self.label}, namespace=self.options.namespace)
        return {job.id: job.status.stage for job in listed}

    def _cancel(self, api: HfApi) -> None:
        for job_id, stage in self._stages(api).items():
            if stage not in ENDED:
                with suppress(HfHubHTTPError):  # it may have ended by itself
                    api.cancel_job(job_id=job_id, namespace=self.options.namespace)


def _wait_until(seen: Callable[[], bool]) -> None:
    """For what another machine wrote; who waited in vain finds it missing."""
    deadline = time.monotonic() + SEEN_AFTER
    while not seen() and time.monotonic() < deadline:
        time.sleep(1.0)


def main() -> None:
    """What a Job runs: the shards that it was given. Each is tried, whatever becomes of those before it; an error comes last."""
    path, *ranks = sys.argv[1:]
    _wait_until(Path(path).exists)
    executor = pickle.loads(Path(path).read_bytes())
    with ExitStack() as stack:
        for rank in reversed(ranks):
            stack.callback(executor._run_for_rank, int(rank))


if __name__ == "__main__":
    main()
