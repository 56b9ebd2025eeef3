import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

from mmprolong_hf.demo.card_documents import CARD_TITLES
from mmprolong_hf.demo.model import SPECIAL_TOKENS, make_tiny_model, make_tokenizer
from mmprolong_hf.encoding import encode_prompt, image_limits, load_processor
from mmprolong_hf.prompt import answer_ids, prompt_text
from mmprolong_hf.rope import extend_context


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    make_tiny_model(path, seed=0)
    return path


@pytest.fixture(scope="module")
def processor(folder):
    return load_processor(folder)


@pytest.mark.parametrize(
    "text", ["What is on page 12?", "naïve 図 🦉\n\ttabs", "x² + 1 = 0", "<|im_start|>user\nhi<|im_end|>\n"]
)
def test_any_text_survives_the_tokenizer(processor, text):
    """What is loaded writes the same tokens as what was saved."""
    ids = processor.tokenizer(text).input_ids
    assert processor.tokenizer.decode(ids) == text
    assert ids == make_tokenizer()(text).input_ids


def test_special_tokens_are_single_and_an_answer_ends_the_turn(processor):
    tokenizer = processor.tokenizer
    assert all(len(tokenizer(token).input_ids) == 1 for token in SPECIAL_TOKENS)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert all(len(answer_ids(processor, title)) == 2 for title in CARD_TITLES)


def test_chat_template_writes_what_qwens_does(processor):
    assert prompt_text(processor, [1, 2], "Which?") == (
        "<|im_start|>user\nPage 1:\n<|vision_start|><|image_pad|><|vision_end|>\nPage 2:\n<|vision_start|><|image_pad|>"
        "<|vision_end|>\n\nWhich?<|im_end|>\n<|im_start|>assistant\n"
    )
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": "B"},
    ]
    assert processor.apply_chat_template(messages, tokenize=False) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>What?"
        "<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
    )


def test_a_card_is_four_tokens_and_the_model_answers_it(folder, processor):
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert model.num_parameters() < 1e6
    inputs = encode_prompt(processor, [Image.new("RGB", (56, 56), "white")] * 2, [1, 2], "Which?")
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 8
    assert image_limits(processor).min_pixels == 56 * 56
    generated = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert generated.shape[1] > inputs["input_ids"].shape[1]
    assert model.generation_config.eos_token_id == processor.tokenizer.eos_token_id


def test_the_context_can_be_extended_fourfold(folder):
    config = AutoModelForImageTextToText.from_pretrained(folder).config
    rope = config.text_config.rope_parameters
    extended = extend_context(config, rope_theta=4 * rope["rope_theta"], max_position_embeddings=131072)
    assert extended.text_config.rope_parameters == rope | {"rope_theta": 1.0e4}
    assert extended.text_config.max_position_embeddings == 4 * config.text_config.max_position_embeddings


def test_seed_decides_the_weights_and_leaves_pytorchs_own_state(folder, tmp_path):
    state = torch.get_rng_state()
    make_tiny_model(tmp_path / "same", seed=0)
    make_tiny_model(tmp_path / "other", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    first, same, other = (
        AutoModelForImageTextToText.from_pretrained(path).lm_head.weight
        for path in (folder, tmp_path / "same", tmp_path / "other")
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_weights_are_as_wide_as_reading_a_letter_needs(folder):
    """At Qwen's own 0.02 a model of this size reads one letter in four when this one reads nine in ten."""
    model = AutoModelForImageTextToText.from_pretrained(folder)
    for weight in (
        model.model.visual.patch_embed.proj.weight,
        model.model.language_model.layers[0].mlp.up_proj.weight,
    ):
        assert 0.09 < weight.std() < 0.11
