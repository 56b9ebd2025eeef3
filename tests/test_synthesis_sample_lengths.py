"""Tokens counted without a processor, against what the processor really makes."""

import pytest
import tiny
from PIL import Image

from mmprolong_hf.encoding import encode_sample, image_limits
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, QWEN3_VL_LIMITS
from mmprolong_hf.synthesis.sample_lengths import SampleLengths, estimate_tokens

QUESTIONS = [
    ("What is the title of the section that starts on page 3?", "Results"),
    ("Was kostet das?\n\nÜber 3 Zeilen; 日本語", "12,5 € – \n\n two  spaces"),
    ("1", "7; 8; 9"),
]
SYSTEM = "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"  # a template strips what stands bare


def processor(family):
    """The tiny one with the system prompt that the family's published template has, or has not."""
    made = tiny.processor(family)
    if family == "qwen2_5_vl":
        made.chat_template = SYSTEM + made.chat_template
    return made


@pytest.fixture(params=tiny.FAMILIES)
def family(request):
    return request.param


@pytest.mark.parametrize("sizes", [[], [(84, 112)], [(84, 112), (200, 56), (28, 28)] * 4])
@pytest.mark.parametrize(("question", "answer"), QUESTIONS)
def test_the_length_is_that_of_the_encoded_sample(family, sizes, question, answer, tmp_path):
    made = processor(family)
    made.tokenizer.save_pretrained(tmp_path)
    lengths = SampleLengths(family=family, tokenizer=tmp_path / "tokenizer.json", limits=image_limits(made))
    images = [Image.new("RGB", size) for size in sizes]
    encoded = encode_sample(made, images, range(1, len(sizes) + 1), question, answer)
    assert lengths(sizes, question, answer) == len(encoded["input_ids"])


def test_another_template_or_other_limits_are_seen(tmp_path):
    """The equality above is none of chance: a system prompt, or the other family's pages, would break it."""
    processor("qwen3_vl").tokenizer.save_pretrained(tmp_path)
    one, other = (SampleLengths(family=family, tokenizer=tmp_path) for family in tiny.FAMILIES)
    assert one.text_tokens(2, "a?", "b") > other.text_tokens(2, "a?", "b")
    assert one([(1224, 1584)], "a?", "b") - one.text_tokens(1, "a?", "b") == 57 * 44 + 2
    assert other([(1224, 1584)], "a?", "b") - other.text_tokens(1, "a?", "b") == 50 * 38 + 2


def test_the_published_limits_are_the_default(family):
    limits = {"qwen2_5_vl": QWEN2_5_VL_LIMITS, "qwen3_vl": QWEN3_VL_LIMITS}[family]
    for size in ((1224, 1584), (10, 10), (9000, 9000)):
        assert SampleLengths(family=family)([size], "a?", "b") == SampleLengths(family=family, limits=limits)(
            [size], "a?", "b"
        )


def test_a_folder_or_a_file_of_a_tokenizer(tmp_path):
    tiny.tokenizer().save_pretrained(tmp_path)
    folder, file = SampleLengths(tokenizer=tmp_path), SampleLengths(tokenizer=str(tmp_path / "tokenizer.json"))
    assert folder.text_tokens(3, "Why?", "Yes") == file.text_tokens(3, "Why?", "Yes")


def test_a_tokenizer_that_is_not_there():
    with pytest.raises(
        ValueError, match=r"tokenizer is 'no/where/at/all', expected a tokenizer\.json, a folder with one"
    ):
        SampleLengths(tokenizer="no/where/at/all")
    with pytest.raises(ValueError, match="tokenizer is 'no/where', expected"):  # a Hub id, and no way there
        SampleLengths(tokenizer="no/where")


def test_an_unknown_family():
    with pytest.raises(ValueError, match="family is 'llava', expected one of qwen2_5_vl, qwen3_vl"):
        SampleLengths(family="llava")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Page 12:\n", 6),
        ("<|im_end|>", 1),
        ("word", 2),
        ("a b", 2),
        ("日本", 2),
        ("-5.25 %", 6),
        ("a    b", 3),
    ],
)
def test_the_estimate(text, tokens):
    assert estimate_tokens(text) == tokens
