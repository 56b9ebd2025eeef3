"""Hugging Face Jobs: a server that speaks their API and runs each Job's command on this machine; the service is not tested."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from synthetic_pdf import report
from test_synthesis_engine import ITEMS, process, worked

from mmprolong_hf.synthesis.engine import Stage
from mmprolong_hf.synthesis.executors import EngineOptions
from mmprolong_hf.synthesis.jobs import JobsExecutor, JobsOptions
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

WHEEL = "mmprolong_hf[pdf] @ file:///data/mmprolong_hf-0.1.0-py3-none-any.whl"
TOKEN = "hf_" + "s" * 34


class Jobs(ThreadingHTTPServer):
    """The API of Jobs of one namespace, as huggingface_hub calls it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.specs: list[dict] = []
        self.processes: list[subprocess.Popen] = []
        self.cancelled: list[int] = []
        self.tokens: set[str] = set()
        self.most_alive = 0
        self.failing = 0  # so many Jobs end before their command starts
        self.dead = False  # every Job's command is replaced by one that does nothing for long

    def start(self, spec: dict) -> dict:
        command = spec["command"]
        command = [sys.executable, *command[command.index("python") + 1 :]]
        if self.dead:
            command = ["sleep", "60"]
        if self.failing > 0:
            self.failing -= 1
            command = ["false"]
        # nothing of the environment of the build but where this machine has what a Job would install
        paths = {name: os.environ[name] for name in ("PATH",)} | {"PYTHONPATH": str(Path(__file__).parent)}
        secrets = spec.get("secrets", {})
        self.specs.append(spec)
        self.processes.append(
            subprocess.Popen(command, env=paths | spec["environment"] | secrets, stderr=subprocess.PIPE)
        )
        self.most_alive = max(self.most_alive, sum(p.poll() is None for p in self.processes))
        return self.info(len(self.specs) - 1)

    def info(self, number: int) -> dict:
        code = self.processes[number].poll()
        stage = "RUNNING" if code is None else "COMPLETED" if code == 0 else "ERROR"
        stage = "CANCELED" if number in self.cancelled else stage
        owner = {"id": "0", "name": "someone", "type": "user"}
        return {"id": str(number), "status": {"stage": stage}, "owner": owner, "labels": self.specs[number]["labels"]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Jobs

    def do_GET(self):
        if not self.path.startswith("/api/jobs/"):  # huggingface_hub asks now and then who calls it
            return self.send_error(404)
        self.server.tokens.add(self.headers["Authorization"])
        wanted = dict(label.split("=") for label in parse_qs(urlsplit(self.path).query)["label"])
        found = [self.server.info(k) for k in range(len(self.server.specs))]
        self.answer([job for job in found if wanted.items() <= job["labels"].items()])

    def do_POST(self):
        self.server.tokens.add(self.headers["Authorization"])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, _, _, namespace, *rest = self.path.split("/")
        assert namespace == "someone"
        if rest:
            number, action = rest
            assert action == "cancel"
            self.server.cancelled.append(int(number))
            self.server.processes[int(number)].kill()
            self.answer({})
        else:
            self.answer(self.server.start(json.loads(body)))

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def jobs(monkeypatch):
    server = Jobs()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("mmprolong_hf.synthesis.jobs.PAUSE", 0.1)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()
    for job in server.processes:
        job.kill()
        job.wait()
        job.stderr.close()


def engine(folder, documents_per_shard=9, **options):
    given = {
        "bucket": "someone/pdfs",
        "mount_path": str(folder),
        "dependencies": [WHEEL],
        **options,
    }
    return EngineOptions("jobs", workers=2, documents_per_shard=documents_per_shard, options=given)


def local(folder):
    return Stage(folder, process, {}).run(ITEMS, EngineOptions(), label="local")


def test_jobs_give_the_same_and_see_no_token(tmp_path, jobs):
    bucket = tmp_path / "bucket"
    outcomes = Stage(bucket / "stage", process, {}).run(ITEMS, engine(bucket, timeout="30m"), label="jobs")
    assert outcomes == local(tmp_path / "local")
    assert len(jobs.specs) == jobs.most_alive == 2  # three shards on two Jobs
    for spec in jobs.specs:
        assert spec["volumes"] == [{"type": "bucket", "source": "someone/pdfs", "mountPath": str(bucket)}]
        assert spec["command"][:2] == ["uv", "run"]
        assert spec["command"][spec["command"].index("--with") + 1] == WHEEL
        assert (spec["flavor"], spec["timeoutSeconds"]) == ("cpu-basic", 1800)
    assert jobs.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in json.dumps(jobs.specs)
    written = [path for path in bucket.rglob("*") if path.is_file()]
    assert any(path.suffix == ".pickle" for path in written)
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []
    assert Stage(bucket / "stage", process, {}).run(ITEMS, engine(bucket), label="again") == outcomes
    assert len(jobs.specs) == 2


def test_a_job_that_fails_once_is_tried_again(tmp_path, jobs):
    jobs.failing = 1
    outcomes = Stage(tmp_path / "stage", process, {}).run(ITEMS, engine(tmp_path), label="jobs")
    assert outcomes == local(tmp_path / "local")
    assert len(jobs.specs) == 4  # two shards were left of the first Job
    assert worked(tmp_path / "stage") == sorted(item["name"] for item in ITEMS)


def test_a_shard_that_fails_always_raises_when_the_others_are_done(tmp_path, jobs):
    stage = Stage(tmp_path / "stage", process, {"fail_on": "document 3"})
    with pytest.raises(
        RuntimeError, match=r"1 of 3 shards are not done after 2 Jobs, the first is 0; see .*/jobs/someone/2 "
    ):
        stage.run(ITEMS, engine(tmp_path), label="jobs")
    assert len(jobs.specs) == 3
    assert "the teacher is gone" in (tmp_path / "stage" / "datatrove" / "logs" / "task_00000.log").read_text()
    # the shard after the failing one, in the same Job, was done all the same
    assert stage.progress() == (17, 25)


def test_jobs_of_a_killed_build_are_cancelled_and_a_stopped_build_cancels_its_own(tmp_path, jobs, monkeypatch):
    stage = Stage(tmp_path / "stage", process, {})
    jobs.dead = True

    def stop(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mmprolong_hf.synthesis.jobs.JobsExecutor._cancel", lambda *_: None)  # as if it were killed
        patch.setattr("mmprolong_hf.synthesis.jobs.time.sleep", stop)
        with pytest.raises(KeyboardInterrupt):
            stage.run(ITEMS, engine(tmp_path), label="killed")
    assert jobs.cancelled == []
    with monkeypatch.context() as patch:
        patch.setattr("mmprolong_hf.synthesis.jobs.time.sleep", stop)
        with pytest.raises(KeyboardInterrupt):
            stage.run(ITEMS, engine(tmp_path), label="stopped")
    assert jobs.cancelled == [0, 1, 2, 3]
    jobs.dead = False
    assert stage.run(ITEMS, engine(tmp_path), label="jobs") == local(tmp_path / "local")


def test_marks_that_are_seen_late_are_waited_for(tmp_path, jobs, monkeypatch):
    """A mounted bucket shows what another machine wrote some seconds after that machine is done."""
    looks, real = [], JobsExecutor.get_incomplete_ranks

    def late(self, ranks=None, skip_completed=None):
        looks.append(ranks)
        return real(self, ranks, skip_completed) if len(looks) > 3 else [0, 1, 2]

    monkeypatch.setattr(JobsExecutor, "get_incomplete_ranks", late)
    assert Stage(tmp_path / "stage", process, {}).run(ITEMS, engine(tmp_path), label="jobs") == local(
        tmp_path / "local"
    )
    assert len(jobs.specs) == 2
    monkeypatch.setattr("mmprolong_hf.synthesis.jobs.SEEN_AFTER", 0.0)
    looks.clear()
    Stage(tmp_path / "stage", process, {}).run(ITEMS, engine(tmp_path), label="jobs")
    assert len(jobs.specs) == 6  # not waited for: both are started twice, and find nothing to do


def test_a_build_on_jobs_changes_no_byte(tmp_path, jobs):
    bucket = tmp_path / "bucket"
    (bucket / "pdfs").mkdir(parents=True)
    for k, titles in enumerate((["Apples", "Pears"], ["Oaks", "Elms", "Ashes"], ["Rivers", "Lakes"])):
        report(bucket / "pdfs" / f"{k}.pdf", titles=titles)
    on_jobs = {"work": str(bucket / "work"), "engine": asdict(engine(bucket, documents_per_shard=1))}
    for name, changes in {"local": {}, "jobs": on_jobs}.items():
        output = str(tmp_path / name)
        common = {"output": output, "pages.dpi": 36, "pool.near_duplicates": None}
        build_dataset(folder_plan(bucket / "pdfs", common | changes))
    files = [path.relative_to(tmp_path / "local") for path in (tmp_path / "local").rglob("*.parquet")]
    assert files
    for file in files:
        assert (tmp_path / "jobs" / file).read_bytes() == (tmp_path / "local" / file).read_bytes()
    assert len(jobs.specs) == 4  # two Jobs for three shards, of each stage
    assert "secrets" not in jobs.specs[0]


@pytest.mark.parametrize("path", ["stage", "pdfs/a.pdf"])
def test_what_is_outside_the_bucket_is_refused_before_anything_starts(tmp_path, jobs, path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    outside = tmp_path / path
    folder, item = (outside, bucket / "a.pdf") if path == "stage" else (bucket / "stage", outside)
    with pytest.raises(ValueError, match=f"{outside} is not below {bucket}"):
        Stage(folder, process, {}).run([{"path": str(item)}], engine(bucket), label="jobs")
    assert jobs.specs == []
    assert not folder.exists()


def test_without_a_token_nothing_starts(tmp_path, jobs, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="no token of Hugging Face to start Jobs with; set HF_TOKEN"):
        Stage(tmp_path / "stage", process, {}).run(ITEMS, engine(tmp_path), label="jobs")
    assert not (tmp_path / "stage").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bucket": "hf://buckets/someone/pdfs"}, "bucket is 'hf://buckets/someone/pdfs', expected 'user/name'"),
        ({"mount_path": "data"}, "mount_path is 'data', expected an absolute path"),
        ({"dependencies": []}, "dependencies is empty"),
        ({"timeout": "2 hours"}, "timeout is '2 hours', expected a number and s, m, h or d"),
        ({"flavour": "cpu-xl"}, "flavor"),
    ],
)
def test_bad_options(changed, message):
    with pytest.raises(ValueError, match=message):
        engine("/data", **changed)


def test_a_list_of_a_plan_will_do():
    assert engine("/data").jobs() == JobsOptions("someone/pdfs", "/data", (WHEEL,))
