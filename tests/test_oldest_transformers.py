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

def read(folder, text):
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
        "tokens": tokenizer(text).input_ids, "special": tokenizer.all_special_tokens,
        "processor": [*ProcessorMixin.get_processor_dict(folder / "out")[0]],
        "prompt": tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False),
    }))

for folder in sys.argv[2:]:
    read(Path(folder), sys.argv[1])
"""
TEXT = "Page 12: What is the title?<|im_end|>\n<|vision_start|>"
YARN = {"rope_type": "yarn", "rope_theta": None}


def published_tokenizer(base):
    """Both families are published with a Qwen2Tokenizer."""
    model = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "extra_special_tokens": tiny.SPECIAL_TOKENS}
    Qwen2Tokenizer(vocab=model["vocab"], merges=merges, **special).save_pretrained(base)


CASES = {"default": ("qwen2_5_vl", {}), "yarn": ("qwen2_5_vl", YARN), "qwen3_vl": ("qwen3_vl", {})}


def prepare(folder, family, options):
    base = tiny.save_checkpoint(folder / "base", family)
    if folder.name == "default":
        published_tokenizer(base)
    train(folder / "out", base, family=family, **options)
    processor = load_processor(folder / "out")
    save_processor(processor, folder / "plain")  # as transformers 5 alone saves it
    shutil.copy(folder / "out" / "config.json", folder / "plain")
    tiny.page(1, 300, 200).save(folder / "page.png")
    given = encode_prompt(processor, [tiny.page(1), tiny.page(2, 112, 56)], [1, 2], "What is on page 2?")
    torch.save(given, folder / "given.pt")


@pytest.fixture(scope="module")
def world(tmp_path_factory, root, environment):
    """A folder for each case, and what the oldest transformers of its family told of it: one process a version."""
    folder, told = tmp_path_factory.mktemp("oldest"), {}
    for family, version in OLDEST_TRANSFORMERS.items():
        installed = root / ".venv" / "oldest_transformers" / version
        if not installed.is_dir():
            continue
        names = [name for name, case in CASES.items() if case[0] == family]
        for name in names:
            prepare(folder / name, *CASES[name])
        code = [sys.executable, "-c", READ, TEXT, *(str(folder / name) for name in names)]
        env = environment | {"PYTHONPATH": str(installed)}
        done = subprocess.run(code, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        told |= zip(names, map(json.loads, done.stdout.splitlines()[-len(names) :]), strict=True)
    return folder, told


@pytest.mark.parametrize("name", CASES)
def test_the_oldest_reads_what_the_newest_reads(world, name):
    folder, version = world[0] / name, OLDEST_TRANSFORMERS[CASES[name][0]]
    if name not in world[1]:
        pytest.skip(f"transformers {version} is not in .venv/oldest_transformers: `make test` installs it")
    told, said = world[1][name], torch.load(folder / "said.pt")
    given, processor = torch.load(folder / "given.pt", weights_only=False), load_processor(folder / "out")
    assert (told["version"], told["missing"]) == (version, [])
    # Building a whole processor takes torchvision; 4.52 refuses parts that stand both here and in files of their own
    assert not {"image_processor", "video_processor", "tokenizer"} & set(told["processor"])
    assert told["tokens"] == processor.tokenizer(TEXT).input_ids
    assert set(told["special"]) == set(processor.tokenizer.all_special_tokens)
    assert told["prompt"] == processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False
    )
    pixels = processor.image_processor(images=[tiny.page(1, 300, 200)], return_tensors="pt")
    assert said["image_grid_thw"].tolist() == pixels["image_grid_thw"].tolist()
    assert (said["pixel_values"] - pixels["pixel_values"]).abs().max() < 1e-5
    model = AutoModelForImageTextToText.from_pretrained(folder / "out")
    with torch.no_grad():
        logits = model(**given).logits
        answer = model.generate(**given, max_new_tokens=12, do_sample=False)
        before = AutoModelForImageTextToText.from_pretrained(folder / "base")(**given).logits
    assert (said["logits"] - logits).abs().max() < 1e-4
    assert said["answer"].tolist() == answer.tolist()
    # And none of it goes without saying: training moved the logits, and what transformers 5 alone saves is read otherwise
    assert (before - logits).abs().max() > 1e-2
    assert said["plain_grid"].tolist() != pixels["image_grid_thw"].tolist()
    assert re.search(r"'list' object has no attribute 'keys'|TokenizersBackend does not exist", told["plain"])


def test_make_installs_what_is_promised(root):
    installed = re.findall(r"--target \$\(OLDEST\)/(\S+) transformers==(\S+)", (root / "Makefile").read_text())
    assert installed == [(version, version) for version in OLDEST_TRANSFORMERS.values()]
