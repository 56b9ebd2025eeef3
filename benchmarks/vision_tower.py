"""
The vision tower's attention by segments beside transformers' loop, what a chunk keeps, and what a page costs before it gets there, the
inputs that are reckoned from the sizes of pages among it.

    python benchmarks/vision_tower.py [--pages 8 32] [--rounds 3]

Pages of 1,036 tokens (74 x 56 patches). Attention is that of one windowed block of Qwen2.5-VL (16 heads of 80 numbers) with random
queries, keys and values in float32, projections left out; memory is that of one page in a tower with Qwen2.5-VL's sizes and 1 and 2
of its blocks. The least of the rounds, in CPU seconds of one thread.
"""

import argparse
import gc
import io
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from transformers import PreTrainedModel, Qwen2_5_VLConfig, Qwen3VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import tiny

from mmprolong_hf.encoding import encode_page, encode_turn
from mmprolong_hf.pixels import PixelTable
from mmprolong_hf.vision_attention import group_segments, segment_attention, tower_inputs

GRID = (1, 74, 56)
PACK = 127  # pages of a pack of 128K tokens
HEADS, HEAD_DIM = 16, 80


def least(rounds: int, run: Callable[[], object]) -> float:
    """CPU seconds, after a round that is not counted."""
    run()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def tower(depth: int) -> Qwen2_5_VisionTransformerPretrainedModel:
    config = Qwen2_5_VLConfig().vision_config
    config.depth, config.hidden_size, config.out_hidden_size, config.num_heads = depth, HEADS * HEAD_DIM, 3584, HEADS
    config.intermediate_size, config.fullatt_block_indexes = 3420, [depth - 1]
    torch.manual_seed(0)
    return Qwen2_5_VisionTransformerPretrainedModel._from_config(config, attn_implementation="sdpa")


def qwen3_tower() -> Qwen3VLVisionModel:
    config = Qwen3VLConfig().vision_config
    config.depth, config.deepstack_visual_indexes = 1, [0]
    return Qwen3VLVisionModel._from_config(config, attn_implementation="sdpa")


def inputs_of_a_pack(rounds: int) -> str:
    """Milliseconds to reckon the tower's inputs, for pages of one size, and of as many sizes as pages: seen first, and kept."""
    towers: dict[str, PreTrainedModel] = {"Qwen2.5-VL": tower(1), "Qwen3-VL": qwen3_tower()}
    one, many = (GRID,) * PACK, tuple((1, 60 + 2 * (n % 8), 48 + 2 * (n // 8)) for n in range(PACK))
    lines = [
        f"| inputs of {PACK} pages, ms | of one size | of {PACK} sizes, seen first | and kept |",
        "|---|---:|---:|---:|",
    ]
    for family, visual in towers.items():
        group_segments(visual)
        times = [least(rounds, partial(tower_inputs, visual, one, torch.device("cpu")))]
        gc.collect()  # not while the clock runs
        began = time.process_time()
        tower_inputs(visual, many, torch.device("cpu"))
        times.append(time.process_time() - began)
        times.append(least(rounds, partial(tower_inputs, visual, many, torch.device("cpu"))))
        lines.append(f"| {family} | {' | '.join(f'{1e3 * seconds:.1f}' for seconds in times)} |")
    return "\n".join(lines)


def by_loop(lengths: list[int], rows: list[torch.Tensor]) -> torch.Tensor:
    """As transformers does it: a call for every segment."""
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in rows))
    return torch.cat([F.scaled_dot_product_attention(*part).transpose(1, 2) for part in parts], dim=1)


def attention(pages: int, rounds: int) -> str:
    visual = tower(1)
    bounds = tower_inputs(visual, (GRID,) * pages, torch.device("cpu"))["cu_window_seqlens"]
    group_segments(visual)
    segments = tower_inputs(visual, (GRID,) * pages, torch.device("cpu"))["cu_window_seqlens"]
    num_patches = int(bounds[-1])
    rows = [torch.randn(num_patches, HEADS, HEAD_DIM, requires_grad=True) for _ in range(3)]
    heads_first = [tensor.transpose(0, 1)[None] for tensor in rows]
    module = torch.nn.Identity()
    cells = [f"{pages}", f"{num_patches:,}", f"{len(bounds) - 1:,}", f"{len(segments.groups)}"]
    for backward in (False, True):

        def run(attend: Callable[[], torch.Tensor], backward: bool = backward) -> None:
            with torch.set_grad_enabled(backward):
                out = attend()
            if backward:
                out.sum().backward()

        # Asked for in every block, as transformers does; on a GPU this waits for the device
        loop = least(rounds, lambda: run(lambda: by_loop(bounds.diff().tolist(), heads_first)))
        grouped = least(rounds, lambda: run(lambda: segment_attention(module, *heads_first, None, segments)[0]))
        cells += [f"{loop:.2f}", f"{grouped:.2f}", f"{loop / grouped:.2f}"]
    return f"| {' | '.join(cells)} |"


def kept_per_patch(depth: int, dtype: torch.dtype) -> float:
    """Bytes that the tower's forward pass keeps for each patch of a page, weights apart."""
    visual, patches = tower(depth).to(dtype), GRID[1] * GRID[2]
    group_segments(visual)
    storages, weights = {}, {weight.untyped_storage().data_ptr() for weight in visual.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes() if storage.data_ptr() not in weights else 0
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = visual(
            torch.randn(patches, 1176, dtype=dtype), None, **tower_inputs(visual, (GRID,), torch.device("cpu"))
        )
    assert output.pooler_output.requires_grad
    return sum(storages.values()) / patches


def feeding(rounds: int) -> str:
    processor = tiny.processor(max_pixels=28 * 28 * 1036)
    page = tiny.page(1, 1036, 1369)
    data = tiny.jpeg(page)
    image_processor = processor.image_processor
    _, rows, columns = encode_page(processor, page)["image_grid_thw"][0].tolist()
    size = (columns * image_processor.patch_size, rows * image_processor.patch_size)
    uint8 = encode_page(processor, page, uint8=True)["pixel_values"]
    table = PixelTable.of(image_processor)
    steps = {
        "decode a JPEG of 1,036 x 1,369": lambda: Image.open(io.BytesIO(data)).convert("RGB"),
        f"resize to {size[0]:,} x {size[1]:,} (Pillow)": lambda: page.resize(size, image_processor.resample),
        "encode a page in float32, resizing in it": lambda: encode_page(processor, page),
        "encode a page in uint8, resizing in it": lambda: encode_page(processor, page, uint8=True),
        "the numbers of a uint8 page, in float32": lambda: table.patches(uint8, torch.float32),
        "tokens of a turn, a page": lambda: encode_turn(processor, ["Page 7:\n", (1, rows, columns)]),
    }
    return "\n".join(f"| {name} | {1e3 * least(5 * rounds, run):.1f} |" for name, run in steps.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| a page's way | ms |\n|---|---:|")
    print(feeding(args.rounds), "\n", flush=True)
    print(inputs_of_a_pack(5 * args.rounds), "\n", flush=True)
    for dtype in (torch.float32, torch.bfloat16):
        one, two = kept_per_patch(1, dtype), kept_per_patch(2, dtype)
        print(f"kept for a patch, {dtype}: {two - one:,.0f} bytes a block, {2 * one - two:,.0f} beside the blocks")
    print()
    print(
        "| pages | patches | windows | calls | forward: loop | grouped | ratio | and backward: loop | grouped | ratio |"
    )
    print("|" + "---:|" * 10)
    for pages in args.pages:
        print(attention(pages, args.rounds), flush=True)


if __name__ == "__main__":
    main()
