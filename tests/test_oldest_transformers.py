"""What the trainer saves, read by the oldest transformers that is promised for its family, where nothing of ours can be imported."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import tiny
import torch
from trained import train
from transformers import AutoModelForImageTextToText, Qwen2Tokenizer

from mmprolong_hf.encoding import encode_prompt, load_processor, save_processor
from mmprolong_hf.old_readers import OLDEST_TRANSFORMERS

READ = """
import json, sys
from pathlib import Path
sys.modules["mmprolong_hf"] = None
import torch, transformers
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer
from transformers.processing_utils import ProcessorMixin

folder = Path(sys.argv[1])
given = torch.load(folder / "given.pt")
model, info = AutoModelForImageTextToText.from_pretrained(folder / "out", output_loading_info=True)
inputs = {name: value for name, value in given.items() if name != "mm_token_type_ids"}  # 4 has no such input
with torch.no_grad():
    said = {"logits": model(**inputs).logits, "answer": model.generate(**inputs, max_new_tokens=12, do_sample=False)}
page = Image.open(folder / "page.png")
def pixels(name):
    found = AutoImageProcessor.from_pretrained(folder / name, use_fast=False)(images=[page], return_tensors="pt")
    return found["pixel_values"], found["image_grid_thw"]
said["pixel_values"], said["image_grid_thw"] = pixels("out")
said["plain_grid"] = pixels("plain")[1]
torch.save(said, folder / "said.pt")
tokenizer = AutoTokenizer.from_pretrained(folder / "out")
try:
    AutoTokenizer.from_pretrained(folder / "plain")
except Exception as error:
    plain = str(error)
print(json.dumps({
    "version": transformers.__version__, "missing": [*info["missing_keys"], *info["unexpected_keys"]], "plain": plain,
    "tokens": tokenizer(sys.argv[2]).input_ids, "special": tokenizer.all_special_tokens,
    "processor": [*ProcessorMixin.get_processor_dict(folder / "out")[0]],
    "prompt": tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False),
}))
"""
TEXT = "Page 12: What is the title?<|im_end|>\n<|vision_start|>"
YARN = {"rope_type": "yarn", "rope_theta": None}


def published_tokenizer(base):
    """Both families are published with a Qwen2Tokenizer."""
    model = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "extra_special_tokens": tiny.SPECIAL_TOKENS}
    Qwen2Tokenizer(vocab=model["vocab"], merges=merges, **special).save_pretrained(base)


@pytest.mark.parametrize(
    ("family", "options", "class_of_its_own"),
    [("qwen2_5_vl", {}, True), ("qwen2_5_vl", YARN, False), ("qwen3_vl", {}, False)],
)
def test_the_oldest_reads_what_the_newest_reads(tmp_path, root, environment, family, options, class_of_its_own):
    version = OLDEST_TRANSFORMERS[family]
    installed = root / ".venv" / "oldest_transformers" / version
    if not installed.is_dir():
        pytest.skip(f"transformers {version} is not in {installed.parent}: `make test` installs it")
    base = tiny.save_checkpoint(tmp_path / "base", family)
    if class_of_its_own:
        published_tokenizer(base)
    train(tmp_path / "out", base, family=family, **options)
    processor = load_processor(tmp_path / "out")
    save_processor(processor, tmp_path / "plain")  # as transformers 5 alone saves it
    shutil.copy(tmp_path / "out" / "config.json", tmp_path / "plain")
    page = tiny.page(1, 300, 200)
    page.save(tmp_path / "page.png")
    given = encode_prompt(processor, [tiny.page(1), tiny.page(2, 112, 56)], [1, 2], "What is on page 2?")
    torch.save(given, tmp_path / "given.pt")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path), TEXT],
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told, said = json.loads(done.stdout.splitlines()[-1]), torch.load(tmp_path / "said.pt")
    assert (told["version"], told["missing"]) == (version, [])
    # Building a whole processor takes torchvision; 4.52 refuses parts that stand both here and in files of their own
    assert not {"image_processor", "video_processor", "tokenizer"} & set(told["processor"])
    assert told["tokens"] == processor.tokenizer(TEXT).input_ids
    assert set(told["special"]) == set(processor.tokenizer.all_special_tokens)
    assert told["prompt"] == processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False
    )
    pixels = processor.image_processor(images=[page], return_tensors="pt")
    assert said["image_grid_thw"].tolist() == pixels["image_grid_thw"].tolist()
    assert (said["pixel_values"] - pixels["pixel_values"]).abs().max() < 1e-5
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        logits = model(**given).logits
        answer = model.generate(**given, max_new_tokens=12, do_sample=False)
        before = AutoModelForImageTextToText.from_pretrained(base)(**given).logits
    assert (said["logits"] - logits).abs().max() < 1e-4
    assert said["answer"].tolist() == answer.tolist()
    # And none of it goes without saying: training moved the logits, and what transformers 5 alone saves is read otherwise
    assert (before - logits).abs().max() > 1e-2
    assert said["plain_grid"].tolist() != pixels["image_grid_thw"].tolist()
    assert re.search(r"'list' object has no attribute 'keys'|TokenizersBackend does not exist", told["plain"])


def test_make_installs_what_is_promised(root):
    installed = re.findall(r"--target \$\(OLDEST\)/(\S+) transformers==(\S+)", (root / "Makefile").read_text())
    assert installed == [(version, version) for version in OLDEST_TRANSFORMERS.values()]
