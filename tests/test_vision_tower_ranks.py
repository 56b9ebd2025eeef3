"""Two processes, of which one has a row without images."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch
import torch.distributed as dist
import uneven_ranks
from torch.distributed.fsdp import fully_shard

SCRIPT = Path(uneven_ranks.__file__)


def run(folder, environment, *args):
    """Both processes, to their end; their return codes and what the first one said."""
    commands = [[sys.executable, str(SCRIPT), str(folder), str(rank), *args] for rank in range(2)]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for command in commands
    ]
    said = [process.communicate(timeout=240)[0] for process in processes]
    return [process.returncode for process in processes], said[0][-2000:]


def on_one_process(family):
    """Loss and gradients of both rows, as the mean of two processes is; the plain model's."""
    model = tiny.model(family, uneven_ranks.choose_attention()).train()
    losses = [model(**row).loss for row in uneven_ranks.rows(family)]
    (sum(losses) / 2).backward()
    return (sum(losses) / 2).detach(), {n: w.grad for n, w in model.named_parameters() if w.grad is not None}


def test_a_row_of_text_beside_one_with_pages_equals_one_process(tmp_path, environment):
    codes, said = run(tmp_path, environment, "every_row", *uneven_ranks.KINDS)
    assert codes == [0, 0], said
    for family in tiny.FAMILIES:
        loss, gradients = on_one_process(family)
        for kind in uneven_ranks.KINDS:
            made = torch.load(tmp_path / f"{kind}-{family}.pt")
            torch.testing.assert_close(made["loss"], loss, rtol=1e-6, atol=0)
            assert made["gradients"].keys() == gradients.keys()
            for name, gradient in gradients.items():
                # Key biases have no gradient but rounding
                least = 1e-3 * max(other.norm() for other in gradients.values())
                assert (made["gradients"][name] - gradient).norm() < 2e-6 * max(gradient.norm(), least), (kind, name)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_processes_wait_for_each_other_without_it(kind, tmp_path, environment):
    codes, _ = run(tmp_path, environment, "as_it_is", kind)
    assert all(code != 0 for code in codes)
    assert not list(tmp_path.glob("*.pt"))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_chunks_of_a_tower_that_is_sharded_by_blocks_are_refused(family):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        model = uneven_ranks.changed_model(family, 32, every_row=False)
        for block in model.model.visual.blocks:
            fully_shard(block)
        with pytest.raises(ValueError, match=r"block by block.*; shard with fsdp\.set_up_fsdp, which"):
            model(**uneven_ranks.rows(family)[0])
    finally:
        dist.destroy_process_group()
