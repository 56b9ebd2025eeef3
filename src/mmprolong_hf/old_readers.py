"""A saved checkpoint as transformers 4 reads it too: its tokenizer and its limits of a page image. The config is rope.py's."""

import json
from pathlib import Path

# The oldest release of transformers that gives the same tokens, pixels, logits and greedy answers, by family; tested
# (tests/test_oldest_transformers.py). 4.51 cannot read a nested text_config, and 4.57.0 was withdrawn.
OLDEST_TRANSFORMERS = {"qwen2_5_vl": "4.52.4", "qwen3_vl": "4.57.1"}
_OF_LOADING = ("is_local", "local_files_only")
# How transformers 5 names a tokenizer without a class of its own
_TOKENIZER_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}


def write_for_old_readers(folder: str | Path) -> None:
    """
    Adds to a folder that transformers 5 saved what transformers 4 looks for; 5 reads it as before.

    - `tokenizer_config.json`: 4 knows no list of `extra_special_tokens` and does not load with one, nor the name of the class. How 5
      had loaded it (`_OF_LOADING`) is no business of a reader.
    - `processor_config.json`: 4.52's processor does not load with the parts that 5 writes into it; both find them in files of their own.
    - `preprocessor_config.json`: 4's image processor takes its own limits in place of `size`, and a page has other tokens than in
      training; it reads `min_pixels` and `max_pixels`, as the published checkpoints name them.

    Args:
        folder (`str` or `Path`): With a processor that [`~mmprolong_hf.encoding.save_processor`] wrote.

    Example:

    ```python
    >>> folder = Path(getfixture("tmp_path"))
    >>> size = {"size": {"shortest_edge": 3136, "longest_edge": 12845056}}
    >>> tokenizer = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<|im_start|>"]}
    >>> _ = (folder / "preprocessor_config.json").write_text(json.dumps(size))
    >>> _ = (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    >>> _ = (folder / "processor_config.json").write_text(json.dumps({"image_processor": size, "processor_class": "P"}))
    >>> write_for_old_readers(folder)
    >>> json.loads((folder / "processor_config.json").read_text())
    {'processor_class': 'P'}
    >>> json.loads((folder / "preprocessor_config.json").read_text())["max_pixels"]
    12845056
    >>> json.loads((folder / "tokenizer_config.json").read_text())
    {'additional_special_tokens': ['<|im_start|>'], 'tokenizer_class': 'PreTrainedTokenizerFast'}

    ```
    """
    processor = _read(folder, "processor_config.json")
    processor.pop("image_processor", None)  # it is in preprocessor_config.json
    if "video_processor" in processor:
        _write(folder, "video_preprocessor_config.json", processor.pop("video_processor"))
    _write(folder, "processor_config.json", processor)
    tokenizer = {k: v for k, v in _read(folder, "tokenizer_config.json").items() if k not in _OF_LOADING}
    name = tokenizer["tokenizer_class"]
    tokenizer["tokenizer_class"] = _TOKENIZER_CLASSES.get(name, name)
    if "extra_special_tokens" in tokenizer:
        tokenizer["additional_special_tokens"] = tokenizer.pop("extra_special_tokens")
    _write(folder, "tokenizer_config.json", tokenizer)
    images = _read(folder, "preprocessor_config.json")
    limits = {"min_pixels": images["size"]["shortest_edge"], "max_pixels": images["size"]["longest_edge"]}
    _write(folder, "preprocessor_config.json", images | limits)


def _read(folder: str | Path, name: str) -> dict:
    return json.loads(Path(folder, name).read_text(encoding="utf-8"))


def _write(folder: str | Path, name: str, content: dict) -> None:
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    Path(folder, name).write_text(text, encoding="utf-8")
