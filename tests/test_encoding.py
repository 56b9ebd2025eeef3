import subprocess
import sys

import pytest
import tiny
import torch
from transformers import AutoImageProcessor, AutoTokenizer, Qwen2Config

from mmprolong_hf.encoding import (
    encode_branch,
    encode_document,
    encode_page,
    encode_prompt,
    encode_sample,
    encode_tail,
    encode_turn,
    image_limits,
    load_processor,
    save_processor,
)
from mmprolong_hf.lengths import page_grid, sample_length, sample_span
from mmprolong_hf.positions import IGNORE_INDEX, mrope_position_ids
from mmprolong_hf.prompt import answer_ids, prompt_text, split_prompt, text_length, turn_text

QUESTION, ANSWER = "What is the title of the section that starts on page 12?", "Zurück zu 42 µm"


def pages(count):
    return [tiny.page(i, width=60 + 37 * i, height=90 + 11 * i) for i in range(count)]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_prompt_names_every_page_before_the_question(family):
    assert prompt_text(tiny.processor(family), [3, 7], "Why?") == (
        "<|im_start|>user\nPage 3:\n<|vision_start|><|image_pad|><|vision_end|>\nPage 7:\n<|vision_start|><|image_pad|>"
        "<|vision_end|>\n\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("numbers", [[], [1], [1, 2, 3], [4, 10, 11, 120]])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_lengths_and_spans_without_images_equal_the_encoded_sample(family, numbers):
    processor = tiny.processor(family)
    images = pages(len(numbers))
    sample = encode_sample(processor, images, numbers, QUESTION, ANSWER)
    grids = [page_grid(*image.size, image_limits(processor)) for image in images]
    text = text_length(processor, numbers, QUESTION, ANSWER)
    assert sample_length(text, grids) == len(sample["input_ids"])
    grid_thw = sample.get("image_grid_thw", torch.zeros(0, 3, dtype=torch.int64))
    assert sample_span(text, grids) == mrope_position_ids(sample["mm_token_type_ids"], grid_thw).max() + 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_only_the_answer_and_its_end_are_labelled(family):
    processor = tiny.processor(family)
    sample = encode_sample(processor, pages(2), [1, 2], QUESTION, ANSWER)
    labelled = sample["labels"][sample["labels"] != IGNORE_INDEX]
    assert processor.tokenizer.decode(labelled) == ANSWER + "<|im_end|>"
    assert torch.equal(sample["input_ids"][-len(labelled) :], labelled)
    prompt = encode_prompt(processor, pages(2), [1, 2], QUESTION)
    assert torch.equal(sample["input_ids"][: -len(labelled)], prompt["input_ids"][0])


@pytest.mark.parametrize("numbers", [[], [1], [4, 10, 120]])
@pytest.mark.parametrize("question", [QUESTION, "\n 12? ", "µ"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_document_and_a_branch_are_the_whole_sample(family, question, numbers):
    processor, images = tiny.processor(family), pages(len(numbers))
    document = encode_document(processor, images, numbers)
    sample = encode_branch(processor, document, numbers, question, ANSWER)
    torch.testing.assert_close(sample, encode_sample(processor, images, numbers, question, ANSWER), rtol=0, atol=0)
    assert sample["document_length"] == len(document["input_ids"])
    assert (sample["document_length"] > 0) == bool(numbers)

    prompt = encode_prompt(processor, images, numbers, question)
    length = prompt["input_ids"].shape[1]
    assert sample["input_ids"][length:].tolist() == answer_ids(processor, ANSWER)
    assert not sample["mm_token_type_ids"][length:].any()
    for key in ("input_ids", "mm_token_type_ids"):
        assert torch.equal(sample[key][:length], prompt[key][0])
    for key in ("pixel_values", "image_grid_thw"):
        assert (key in sample) == bool(numbers)
        assert not numbers or torch.equal(sample[key], prompt[key])


@pytest.mark.parametrize("numbers", [[], [1], [4, 10, 120]])
@pytest.mark.parametrize("question", [QUESTION, "\n 12? ", "µ"])
def test_the_two_parts_of_a_prompt_have_the_tokens_of_the_whole(question, numbers):
    processor = tiny.processor()

    def tokens(text):
        return processor.tokenizer(text, add_special_tokens=False).input_ids

    parts = split_prompt(processor, numbers, question)
    assert "".join(parts) == prompt_text(processor, numbers, question)
    assert tokens(parts[0]) + tokens(parts[1]) == tokens("".join(parts))
    assert question in parts[1]
    assert split_prompt(processor, numbers, "Why?")[0] == parts[0]
    # The guard: most other cuts would not do
    text = "".join(parts)
    cuts = [tokens(text[:cut]) + tokens(text[cut:]) == tokens(text) for cut in range(1, len(text))]
    assert 0 < sum(cuts) < len(cuts)


SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"  # which Qwen2.5-VL's template writes first


@pytest.mark.parametrize("before", ["", SYSTEM])
@pytest.mark.parametrize(
    ("text", "answer_start"), [("\n\nWhy?", ""), ("", "Page "), (" <|vision_end|>12 ", "\n"), ("µ", "Page 1")]
)
@pytest.mark.parametrize(
    "texts", [["", "", ""], ["Read:\n", "\n", " and "], ["<|vision_end|>", "Page 12:", "<|vision_start|> "]]
)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_turn_and_a_tail_are_what_the_processor_makes_of_the_whole(family, texts, text, answer_start, before):
    processor, images = tiny.processor(family), pages(3)
    processor.chat_template = before + processor.chat_template
    encoded = [encode_page(processor, image) for image in images]
    between = [(t, page["image_grid_thw"][0]) for t, page in zip(texts, encoded)]
    turn = encode_turn(processor, [part for pair in between for part in pair])
    tail = encode_tail(processor, text, answer_start)

    whole = turn_text(processor, [part for t in texts for part in (t, None)] + [text]) + answer_start
    inputs = processor(text=[whole], images=images, return_tensors="pt", add_special_tokens=False)
    assert torch.equal(torch.cat([turn["input_ids"], tail]), inputs["input_ids"][0])
    length = len(turn["input_ids"])
    assert torch.equal(turn["mm_token_type_ids"], inputs["mm_token_type_ids"][0, :length])
    assert not inputs["mm_token_type_ids"][0, length:].any()
    assert processor.tokenizer.decode(turn["input_ids"]).endswith("<|vision_end|>")
    assert torch.equal(turn["image_grid_thw"], inputs["image_grid_thw"])
    assert torch.equal(torch.cat([page["pixel_values"] for page in encoded]), inputs["pixel_values"])


def test_a_turn_ends_with_a_page():
    for parts in ([], [(1, 4, 4), "Why?"]):
        with pytest.raises(ValueError, match="expected a page: text behind it belongs to encode_tail"):
            encode_turn(tiny.processor(), parts)


def test_text_that_would_be_taken_for_a_page_is_refused():
    with pytest.raises(
        ValueError, match=r"'Is <\|image_pad\|> a word\?' holds <\|image_pad\|>, expected text without"
    ):
        encode_tail(tiny.processor(), "Is <|image_pad|> a word?")


def test_nothing_is_labelled_when_unsupervised():
    sample = encode_sample(tiny.processor(), pages(1), [1], QUESTION, ANSWER, supervised=False)
    assert (sample["labels"] == IGNORE_INDEX).all()


@pytest.mark.parametrize("answer", ["", " 42", "42\n"])
def test_answers_that_could_merge_with_the_prompt_are_refused(answer):
    with pytest.raises(ValueError, match="expected text without white space at its ends"):
        answer_ids(tiny.processor(), answer)


def test_pages_need_as_many_numbers():
    with pytest.raises(ValueError, match="2 page images but 1 page numbers"):
        encode_prompt(tiny.processor(), pages(2), [1], QUESTION)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_saved_and_loaded_encodes_the_same(family, tmp_path):
    processor = tiny.processor(family)
    tiny.config(family).save_pretrained(tmp_path)
    save_processor(processor, tmp_path)
    loaded = load_processor(tmp_path)
    assert image_limits(loaded) == image_limits(processor)
    ours, theirs = (encode_sample(p, pages(2), [1, 2], QUESTION, ANSWER) for p in (processor, loaded))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert type(AutoTokenizer.from_pretrained(tmp_path)).__name__ != "NoneType"
    assert AutoImageProcessor.from_pretrained(tmp_path).patch_size == processor.image_processor.patch_size


def test_limits_can_be_narrowed(tmp_path):
    tiny.config().save_pretrained(tmp_path)
    save_processor(tiny.processor(), tmp_path)
    limits = image_limits(load_processor(tmp_path, max_pixels=4 * 28 * 28))
    assert (limits.min_pixels, limits.max_pixels) == (28 * 28, 4 * 28 * 28)


def test_another_family_is_refused(tmp_path):
    Qwen2Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a 'qwen2' model, expected one of: qwen2_5_vl, qwen3_vl"):
        load_processor(tmp_path)


def test_a_native_processor_takes_what_we_saved(tmp_path, environment):
    # torchvision cannot be installed beside torch's CPU build; two op schemas are all it misses. Skips where it is absent.
    pytest.importorskip("torchvision", reason="the native processor needs torchvision")
    tiny.config().save_pretrained(tmp_path)
    save_processor(tiny.processor(), tmp_path)
    code = f"from transformers import AutoProcessor; p = AutoProcessor.from_pretrained({str(tmp_path)!r}); print(p.video_processor)"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
