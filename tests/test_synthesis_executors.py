"""The same stage on Ray and on Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_synthesis_engine import ITEMS, process

from mmprolong_hf.synthesis.engine import Stage
from mmprolong_hf.synthesis.executors import EngineOptions

ON_RAY = """
import sys
sys.path.insert(0, sys.argv[2])
import ray
from pathlib import Path
from test_synthesis_engine import ITEMS, process
from mmprolong_hf.synthesis.engine import Stage
from mmprolong_hf.synthesis.executors import EngineOptions
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
options = EngineOptions("ray", documents_per_shard=9, options={"mem_per_cpu_gb": 0.1})
Stage(Path(sys.argv[1]) / "ray", process, {}).run(ITEMS, options, label="ray")
Stage(Path(sys.argv[1]) / "failing", process, {"fail_on": "document 3"}).run(ITEMS, options, label="ray")
"""


def test_ray_gives_the_same_and_failed_shards_raise(tmp_path, environment):
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", ON_RAY, str(tmp_path), here],
        capture_output=True, text=True, timeout=200, env=environment | {"PYTHONPATH": here},
    )  # fmt: skip
    assert "RuntimeError: ray: 1 of 3 shards are not done, the first is 0" in done.stderr
    local = Stage(tmp_path / "local", process, {}).run(ITEMS, EngineOptions(), label="local")
    assert Stage(tmp_path / "ray", process, {}).outcomes() == local


SBATCH = """#!{python}
import os, re, subprocess, sys
script = sys.argv[-1]
text = open(script).read()
tasks = re.search(r"--array=0-([0-9]+)", text)
for task in range(int(tasks[1]) + 1 if tasks else 0):
    subprocess.Popen(["bash", "-c", text], env=os.environ | {{"SLURM_ARRAY_TASK_ID": str(task), "SLURM_NODELIST": "localhost"}},
                     stdout=open("{log}", "a"), stderr=subprocess.STDOUT)
print("Submitted batch job 7")
"""


def test_slurm_runs_the_script_that_datatrove_writes(tmp_path, monkeypatch):
    """With commands of Slurm's names that run the array's tasks on this machine: a cluster itself is not tested."""
    commands = tmp_path / "bin"
    commands.mkdir()
    here = Path(__file__).parent
    for name, text in {
        "sbatch": SBATCH.format(python=sys.executable, log=tmp_path / "log.txt"),
        "squeue": f"#!/bin/sh\necho look >> {tmp_path}/looks\n[ $(wc -l < {tmp_path}/looks) -gt 150 ] || echo RUNNING\n",
        "scontrol": "#!/bin/sh\necho localhost\n",
    }.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYTHONPATH", str(here))
    monkeypatch.setattr("mmprolong_hf.synthesis.executors.SLURM_PAUSE", 0.2)
    options = {"time": "00:10:00", "partition": "cpu", "with_srun": False}
    engine = EngineOptions("slurm", workers=2, documents_per_shard=9, options=options)
    outcomes = Stage(tmp_path / "slurm", process, {}).run(ITEMS, engine, label="slurm")
    assert outcomes == Stage(tmp_path / "local", process, {}).run(ITEMS, EngineOptions(), label="local")
    (commands / "squeue").write_text("#!/bin/sh\nexit 1\n")  # the job is gone, and one of its tasks failed
    failing = Stage(tmp_path / "failing", process, {"fail_on": "document 3", "seconds": 0.5})
    with pytest.raises(RuntimeError, match="shards are not done"):
        failing.run(ITEMS, engine, label="slurm")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "spark"}, "engine kind is 'spark'"), ({"workers": 0}, "workers is 0"), ({"documents_per_shard": 0}, "documents_per_shard is 0")],
)  # fmt: skip
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        EngineOptions(**options)
