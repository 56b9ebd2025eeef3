"""Tiny worlds for tests, made in code: models, processors, page images, encoded samples. Nothing is downloaded."""

import random
from io import BytesIO

import torch
from datasets import Dataset
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmprolong_hf.encoding import IMAGE_ONLY_PROCESSORS, encode_sample, save_processor
from mmprolong_hf.lengths import page_tokens
from mmprolong_hf.pixels import PixelTable
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, Question

FAMILIES = ("qwen2_5_vl", "qwen3_vl")
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]  # fmt: skip
CHAT_TEMPLATE = """
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}
{%- for part in message.content -%}
{%- if part.type == "image" -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""


def tokenizer() -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    corpus = ["user", "assistant", "What is the title of the section that starts on page 3?", "Page 12:"] * 4
    trainer = trainers.BpeTrainer(
        vocab_size=360, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL_TOKENS,
    )


def processor(family: str = "qwen2_5_vl", max_pixels: int = 28 * 28 * 16):
    patch_size = 14 if family == "qwen2_5_vl" else 16
    images = Qwen2VLImageProcessorPil(patch_size=patch_size, merge_size=2, min_pixels=28 * 28, max_pixels=max_pixels)
    return IMAGE_ONLY_PROCESSORS[family](images, tokenizer(), chat_template=CHAT_TEMPLATE.strip("\n"))


def config(family: str = "qwen2_5_vl", **text):
    tok = tokenizer()
    ids = {
        f"{name}_token_id": tok.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"), ("vision_end", "vision_end"))
    }  # fmt: skip
    text_config = {
        "vocab_size": len(tok),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "pad_token_id": tok.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tok.eos_token_id,
    }
    vision_config = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64}
    if family == "qwen2_5_vl":
        text_config |= {
            "max_position_embeddings": 32768,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
        }
        vision_config |= {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
        return Qwen2_5_VLConfig(text_config=text_config | text, vision_config=vision_config, **ids)
    text_config |= {
        "head_dim": 16,
        "max_position_embeddings": 262144,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
    }
    vision_config |= {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return Qwen3VLConfig(text_config=text_config | text, vision_config=vision_config, **ids)


def model(family: str = "qwen2_5_vl", attention: str | dict = "sdpa", seed: int = 0, **text):
    """A random model whose weights are large enough for attention to matter."""
    torch.manual_seed(seed)
    classes = {"qwen2_5_vl": Qwen2_5_VLForConditionalGeneration, "qwen3_vl": Qwen3VLForConditionalGeneration}
    tiny = classes[family]._from_config(config(family, **text), attn_implementation=attention)
    for parameter in tiny.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return tiny.eval()


def page(seed: int, width: int = 84, height: int = 112) -> Image.Image:
    rng = random.Random(seed)
    image = Image.new("RGB", (width, height), (rng.randrange(128, 256),) * 3)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.randrange(width), rng.randrange(height)
        color = tuple(rng.randrange(256) for _ in range(3))
        draw.rectangle([x, y, x + rng.randrange(30), y + rng.randrange(30)], fill=color)
    return image


def samples(proc, kinds=((2, 84, 112), (0, 0, 0), (1, 112, 56), (3, 56, 56))) -> list[dict[str, torch.Tensor]]:
    """Encoded samples; each kind is (number of pages, width, height), 0 pages being a text-only sample."""
    out = []
    for seed, (pages, width, height) in enumerate(kinds):
        images = [page(10 * seed + i, width + 28 * i, height) for i in range(pages)]
        numbers = range(1, pages + 1)
        question, answer = f"What is the title of the section that starts on page {seed}?", "7 " * seed + "x"
        out.append(encode_sample(proc, images, numbers, question, answer))
    return out


def documents(count: int = 6, max_pages: int = 3) -> Dataset:
    """Rows of a published set: document d has 1 + d % max_pages pages and a question for each."""
    rows = []
    for d in range(count):
        images = [page(100 * d + k, 84 + 28 * k) for k in range(1 + d % max_pages)]
        questions = [
            Question(f"What is on page {k + 1}?", str((7 * d + k) % 10) * (1 + d), "extract-single", "String", (k + 1,), ("Text",))
            for k in range(len(images))
        ]  # fmt: skip
        rows.append(
            {
                "doc_id": f"{d:064x}",
                "source": f"{d}.pdf",
                "title": f"Document {d}",
                "url": "",
                "license": "",
                "num_pages": len(images),
                "dpi": 72,
                "language": "en",
                "engine": "drawn",
                "image_format": "jpeg",
                "page_sizes": [list(image.size) for image in images],
                "page_tokens": [page_tokens(*image.size) for image in images],
                "images": [{"bytes": jpeg(image), "path": None} for image in images],
                "pdf": None,
                "questions": [question.to_row() for question in questions],
            }
        )
    return Dataset.from_list(rows, features=DOCUMENT_FEATURES)


def float_pixels(proc, pack: dict) -> dict:
    """A trainer's pack for a plain model, which takes the numbers that the processor makes."""
    table = PixelTable.of(proc.image_processor)
    return pack | {"pixel_values": table.patches(pack["pixel_values"], torch.float32)}


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def save_dataset(folder, **splits: Dataset):
    """A dataset folder as `load_dataset` reads it."""
    for split, dataset in splits.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        dataset.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def save_checkpoint(folder, family: str = "qwen2_5_vl", max_pixels: int = 28 * 28 * 16, **text):
    """A model with its processor as `from_pretrained` reads it."""
    model(family, **text).save_pretrained(folder)
    save_processor(processor(family, max_pixels), folder)
    return folder
