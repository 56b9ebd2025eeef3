"""
One of two processes that train a step, the first on a row with pages, the second on a row of text: run by
test_vision_tower_ranks.

    python uneven_ranks.py FOLDER RANK every_row|as_it_is KIND [KIND ...]

Writes losses and gradients to FOLDER/KIND-FAMILY.pt, or fails where the processes wait for each other. Kinds: `ddp`; `fsdp`, pages
in chunks; `fsdp_at_once`, all pages at once.
"""

import sys
from datetime import timedelta
from pathlib import Path

import tiny
import torch
import torch.distributed as dist
from accelerate import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_auto_wrap_policy
from accelerate.utils.other import get_module_children_bottom_up
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from mmprolong_hf.attention import choose_attention
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.fsdp import set_up_fsdp
from mmprolong_hf.vision_tower import chunk_vision_tower, run_tower_for_every_row

KINDS = {"ddp": 32, "fsdp": 32, "fsdp_at_once": None}  # patches of a chunk
SECONDS = 10  # until a process gives up waiting for the other


def rows(family: str) -> list[dict]:
    samples = tiny.samples(tiny.processor(family), ((3, 84, 112), (0, 0, 0)))
    return [PackCollator()([sample]) for sample in samples]


def changed_model(family: str, max_patches: int | None, *, every_row: bool) -> torch.nn.Module:
    model = tiny.model(family, choose_attention()).train()
    chunk_vision_tower(model, max_patches, tiny.processor(family).image_processor)
    if every_row:
        run_tower_for_every_row(model)
    return model


def shard(model: torch.nn.Module) -> torch.nn.Module:
    """As accelerate does, which decides what is a unit, after it was set up as for training."""
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
    set_up_fsdp(plugin, model, "no")
    plugin.set_auto_wrap_policy(model)
    is_unit = fsdp2_prepare_auto_wrap_policy(plugin, model)
    for module in get_module_children_bottom_up(model)[:-1]:
        if is_unit(module):
            fully_shard(module)
    return fully_shard(model)


def main(folder: str, rank: str, every_row: str, *kinds: str) -> None:
    store, timeout = f"file://{folder}/{every_row}-{kinds[0]}", timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", store, timeout, world_size=2, rank=int(rank))
    for kind, family in ((kind, family) for kind in kinds for family in tiny.FAMILIES):
        plain = changed_model(family, KINDS[kind], every_row=every_row == "every_row")
        model = DistributedDataParallel(plain) if kind == "ddp" else shard(plain)
        assert isinstance(plain.model.visual, FSDPModule) == (kind != "ddp")
        assert not isinstance(plain.model.visual.blocks[0], FSDPModule)
        for _ in range(2):  # a gradient that never came is noticed in the step after
            model.zero_grad()
            loss = model(**rows(family)[int(rank)]).loss
            loss.backward()
        mean = loss.detach() / 2
        dist.all_reduce(mean)
        named = [(name, weight.grad) for name, weight in plain.named_parameters() if weight.grad is not None]
        gradients = {name: grad if kind == "ddp" else grad.full_tensor() for name, grad in named}
        if rank == "0":
            torch.save({"loss": mean, "gradients": gradients}, Path(folder) / f"{kind}-{family}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
