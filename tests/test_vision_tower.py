from itertools import accumulate

import pytest
import tiny
import torch
from peft import LoraConfig, get_peft_model
from test_vision_attention import mixed_pages
from transformers import Qwen2Config, Qwen2ForCausalLM

from mmprolong_hf import vision_tower
from mmprolong_hf.attention import choose_attention
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_branch, encode_document
from mmprolong_hf.models import LANGUAGE_LINEARS
from mmprolong_hf.vision_tower import chunk_images, chunk_vision_tower, run_tower_for_every_row


def pack(family, *, uint8):
    """A document with two questions that share it, another page, and a sample of text alone."""
    processor, samples = tiny.processor(family), []
    for numbers, questions in (((1, 2, 3), 2), ((1,), 1), ((), 1)):
        pages = [tiny.page(n, 84 + 28 * n, 112) for n in numbers]
        document = encode_document(processor, pages, numbers, uint8=uint8)
        branches = [encode_branch(processor, document, numbers, f"What is {k}?", "7 x") for k in range(questions)]
        samples.append(branches)
    return PackCollator()(samples)


def make_model(family, *, lora=False, checkpointing=False):
    model = tiny.model(family, choose_attention()).train()
    if lora:
        torch.manual_seed(1)
        config = LoraConfig(r=2, lora_alpha=1, target_modules=LANGUAGE_LINEARS, init_lora_weights=False)
        model = get_peft_model(model, config)
    if checkpointing:
        model.activation_checkpointing_enable()
    return model


def tower_of(model):
    return next(module for name, module in model.named_modules() if name.endswith("visual"))


def gradients(model, inputs):
    """The loss and every gradient of a step."""
    model.zero_grad()
    loss = model(**inputs).loss
    loss.backward()
    return {"loss": loss.detach()} | {n: w.grad for n, w in model.named_parameters() if w.grad is not None}


def error(ours, theirs):
    """The largest difference of a tensor, beside its norm (or of that of all, where it is next to nothing)."""
    assert ours.keys() == theirs.keys()
    least = 1e-3 * max(tensor.norm() for tensor in theirs.values())
    return max(((ours[name] - theirs[name]).norm() / max(theirs[name].norm(), least)).item() for name in theirs)


@pytest.mark.parametrize("uint8", [False, True])
@pytest.mark.parametrize("max_patches", [None, 1, 100])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_loss_and_gradients_stay_the_same(family, lora, checkpointing, max_patches, uint8):
    plain = make_model(family, lora=lora, checkpointing=checkpointing)
    changed = make_model(family, lora=lora)
    chunk_vision_tower(changed, max_patches, tiny.processor(family).image_processor)
    if checkpointing:  # as Trainer does in train(), after every lever
        changed.activation_checkpointing_enable()
    theirs = gradients(plain, pack(family, uint8=False))
    assert error(gradients(changed, pack(family, uint8=uint8)), theirs) < 1e-6
    assert any(".visual." in name for name in theirs) == (not lora)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_images_in_another_order_are_seen(family):
    changed = make_model(family)
    theirs = gradients(make_model(family), pack(family, uint8=False))
    tower = tower_of(changed)
    chunk_vision_tower(changed, 100, tiny.processor(family).image_processor)
    run = tower.forward._run
    tower.forward._run = lambda pixels, kwargs: run(pixels.flip(0), kwargs)
    assert error(gradients(changed, pack(family, uint8=True)), theirs) > 1e-2


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_device_is_not_asked_for_sizes_that_the_host_knows(family):
    model, inputs = make_model(family), pack(family, uint8=True)
    chunk_vision_tower(model, 100, tiny.processor(family).image_processor)
    elsewhere = inputs | {"image_grid_thw": inputs["image_grid_thw"].to("meta")}  # cannot be asked
    theirs = gradients(model, {name: value for name, value in inputs.items() if name != "image_grids"})
    assert error(gradients(model, elsewhere), theirs) == 0
    turned = tuple((frames, columns, rows) for frames, rows, columns in inputs["image_grids"])
    assert error(gradients(model, inputs | {"image_grids": turned}), theirs) > 1e-2


@pytest.mark.parametrize("max_patches", [None, 50])
def test_weights_are_walked_once_a_pass(monkeypatch, max_patches):
    model, calls, walk = make_model("qwen2_5_vl", checkpointing=True), [], vision_tower._is_trained
    chunk_vision_tower(model, max_patches, tiny.processor().image_processor)
    monkeypatch.setattr(vision_tower, "_is_trained", lambda visual: calls.append(1) or walk(visual))
    gradients(model, pack("qwen2_5_vl", uint8=True))
    assert len(calls) == 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_tower_of_its_own_kind_of_output_comes_back(family):
    changed, (pixels, grids) = make_model(family), mixed_pages(family)
    theirs = make_model(family).model.get_image_features(pixels, grids)
    chunk_vision_tower(changed, 50, tiny.processor(family).image_processor)
    ours = changed.model.get_image_features(pixels, grids)
    assert type(ours) is type(theirs)
    assert set(ours) == set(theirs) - {"last_hidden_state"}
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-5)


def peak_bytes(tower, *inputs):
    """The most that a forward and backward pass of a tower had allocated at a time, features and gradients among it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        tower(*inputs).pooler_output.sum().backward()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(changes))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_chunks_need_less_memory(family):
    processor, peaks = tiny.processor(family, max_pixels=28 * 28 * 80), {}
    pages = encode_document(processor, [tiny.page(seed, 250, 200) for seed in range(12)], range(1, 13), uint8=True)
    for max_patches in (None, 300):
        model = make_model(family)
        chunk_vision_tower(model, max_patches, processor.image_processor)
        peaks[max_patches] = peak_bytes(tower_of(model), pages["pixel_values"], pages["image_grid_thw"])
    assert peaks[300] < 0.25 * peaks[None]  # 1 of 12 pages at a time, and the features and gradients of all


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_frozen_tower_keeps_no_graph(family):
    model, inputs = make_model(family, checkpointing=True), mixed_pages(family)
    tower = tower_of(model)
    for weight in tower.parameters():
        weight.requires_grad_(False)
    if family == "qwen2_5_vl":  # transformers tells its patch embedding to need a gradient
        assert tower(*inputs).pooler_output.requires_grad
    chunk_vision_tower(model, 50, tiny.processor(family).image_processor)
    assert not tower(*inputs).pooler_output.requires_grad
    tower.merger.requires_grad_(True)
    output = tower(*inputs).pooler_output
    output.sum().backward()
    assert all(weight.grad is not None for weight in tower.merger.parameters())
    assert all(weight.grad is None for weight in tower.blocks.parameters())


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_row_of_text_runs_the_tower_for_nothing(family, lora):
    inputs = PackCollator()(tiny.samples(tiny.processor(family), ((0, 0, 0),)))
    theirs = gradients(make_model(family, lora=lora), inputs)
    changed = make_model(family, lora=lora)
    chunk_vision_tower(changed, 100, tiny.processor(family).image_processor)
    run_tower_for_every_row(changed)
    ours = gradients(changed, inputs)
    assert error({name: ours[name] for name in theirs}, theirs) == 0
    rest = {name: gradient for name, gradient in ours.items() if name not in theirs}
    assert not any(gradient.any() for gradient in rest.values())
    trained = {name for name, weight in changed.named_parameters() if weight.requires_grad and ".visual." in name}
    assert rest.keys() == trained
    assert bool(trained) != lora


def test_rows_with_pages_run_it_once():
    model, calls = make_model("qwen2_5_vl"), []
    run_tower_for_every_row(model)
    tower_of(model).register_forward_hook(lambda *_: calls.append(1))
    model(**pack("qwen2_5_vl", uint8=False))
    assert len(calls) == 1


def test_names_of_modules_and_weights_stay():
    plain, changed = make_model("qwen3_vl", lora=True), make_model("qwen3_vl", lora=True)
    chunk_vision_tower(changed, 100, tiny.processor("qwen3_vl").image_processor)
    assert list(changed.state_dict()) == list(plain.state_dict())
    assert changed.config.to_dict() == plain.config.to_dict()


def test_flash_attention_stays():
    model = make_model("qwen2_5_vl")
    tower_of(model).config._attn_implementation = "flash_attention_2"
    chunk_vision_tower(model, 100, tiny.processor().image_processor)
    assert tower_of(model).config._attn_implementation == "flash_attention_2"


def test_what_cannot_be_changed_is_refused():
    images, model = tiny.processor().image_processor, make_model("qwen2_5_vl")
    with pytest.raises(ValueError, match="max_patches is 0, expected at least 1"):
        chunk_vision_tower(model, 0, images)
    chunk_vision_tower(model, 100, images)
    with pytest.raises(ValueError, match="has a forward of its own; chunk_vision_tower changes it once"):
        chunk_vision_tower(model, 100, images)
    text = Qwen2ForCausalLM(Qwen2Config(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    for lever in (lambda: chunk_vision_tower(text, 100, images), lambda: run_tower_for_every_row(text)):
        with pytest.raises(ValueError, match=r"the model is a Qwen2ForCausalLM, expected a Qwen2\.5-VL"):
            lever()


def test_an_image_larger_than_a_chunk_is_alone():
    grids = [(1, 4, 4), (1, 8, 8), (1, 2, 2), (1, 2, 2)]
    assert chunk_images(grids, 10) == [((1, 4, 4),), ((1, 8, 8),), ((1, 2, 2), (1, 2, 2))]
    assert chunk_images(grids, None) == [tuple(grids)]
