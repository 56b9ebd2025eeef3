import tiny
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.collator import PackCollator


def test_fsdp_hands_the_layout_on_as_it_is():
    # With mixed precision it looks into the inputs of each layer for tensors to cast, and rebuilds what it looks into.
    pack = PackCollator()(tiny.samples(tiny.processor()))
    del pack["labels"]
    model = tiny.model(attention={"text_config": PACKED_ATTENTION, "vision_config": "sdpa"})
    seen = []
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        options = {
            "mesh": init_device_mesh("cpu", (1,)),
            "mp_policy": MixedPrecisionPolicy(param_dtype=torch.bfloat16),
        }
        for layer in model.model.language_model.layers:
            fully_shard(layer, **options)
            layer.self_attn.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True)
        fully_shard(model, **options)
        assert model(**pack).logits.dtype == torch.bfloat16
    finally:
        dist.destroy_process_group()
    assert [kwargs["layout"] is pack["layout"] for kwargs in seen] == [True, True]
