"""
Peak memory and time of one training step on a packed row, with transformers' masked SDPA and with ours, as the row grows.

    python benchmarks/packing_memory.py [--lengths 4096 8192 16384] [--sample 1024]

Each figure comes from a process of its own: peak resident memory while the step runs, above what the process held before it
(the model and the inputs). The model is small, so that the figure is the attention's and not the weights'.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

MEBIBYTE = 2**20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Peak:
    """Largest resident memory while the block runs, sampled every millisecond."""

    def __enter__(self):
        self.start = self.largest = resident()
        self.running = True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while self.running:
            self.largest = max(self.largest, resident())
            time.sleep(0.001)

    def __exit__(self, *error):
        self.running = False
        self.thread.join()


def measure(attention: str, length: int, sample: int) -> dict:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from mmprolong_hf.attention import PACKED_ATTENTION
    from mmprolong_hf.collator import PackCollator

    torch.manual_seed(0)
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 512,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
        },
        vision_config={"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64},
    )
    name = PACKED_ATTENTION if attention == "ours" else attention
    model = Qwen2_5_VLForConditionalGeneration._from_config(
        config, attn_implementation={"text_config": name, "vision_config": "sdpa"}
    )
    text = torch.randint(0, 500, (sample,))
    row = {"input_ids": text, "labels": text, "mm_token_type_ids": torch.zeros(sample, dtype=torch.int64)}
    pack = PackCollator()([row] * (length // sample))
    labels = pack.pop("labels")
    with Peak() as peak:
        start = time.perf_counter()
        hidden = model.model(**pack).last_hidden_state
        logits = model.lm_head(hidden[:, -64:])
        torch.nn.functional.cross_entropy(logits[0], labels[0, -64:]).backward()
        seconds = time.perf_counter() - start
    return {"mebibytes": (peak.largest - peak.start) / MEBIBYTE, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 8192, 16384])
    parser.add_argument("--sample", type=int, default=1024, help="tokens in each sample of the row")
    parser.add_argument("--one", nargs=2, metavar=("ATTENTION", "LENGTH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], int(args.one[1]), args.sample)))
        return
    print(
        f"| tokens in the row (samples of {args.sample}) | masked SDPA, MiB | ours, MiB | ratio | masked, s | ours, s | ratio |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for length in args.lengths:
        found = {}
        for attention in ("sdpa", "ours"):
            command = [sys.executable, __file__, "--one", attention, str(length), "--sample", str(args.sample)]
            found[attention] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        (masked, masked_s), (ours, ours_s) = (
            (found[name]["mebibytes"], found[name]["seconds"]) for name in ("sdpa", "ours")
        )
        print(
            f"| {length:,} | {masked:,.0f} | {ours:,.0f} | {masked / ours:.1f} | {masked_s:.2f} | {ours_s:.2f} | {masked_s / ours_s:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
