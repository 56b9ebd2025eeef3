"""MLPs in tiles: the same step, the memory of a tile, and no third computation under gradient checkpointing."""

import pytest
import tiny
import torch
from live_bytes import LiveBytes
from peft import LoraConfig, get_peft_model
from test_shared_documents import build, gradients, mixed
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from mmprolong_hf import tiled_mlp
from mmprolong_hf.checkpointing import language_layers, save_attention_outputs
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.models import LANGUAGE_LINEARS
from mmprolong_hf.tiled_mlp import tile_mlps

TILE = 37  # does not divide the row


def step(model, pack, seed=0, autocast=False):
    torch.manual_seed(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model.train()(**pack).loss
    loss.backward()
    return loss.detach(), gradients(model)


def difference(ours, theirs):
    """The largest of loss and gradients, relative."""
    assert ours[1].keys() == theirs[1].keys()
    pairs = [(ours[0], theirs[0]), *((ours[1][name], theirs[1][name]) for name in ours[1])]
    return max(((a - b).norm() / b.norm()).item() for a, b in pairs)


@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_same_step(family, lora, checkpointing):
    model, pack = build(family, lora), PackCollator()(mixed(family))
    names = list(model.state_dict())
    if checkpointing:
        model.activation_checkpointing_enable()
    plain = step(model, pack)
    tile_mlps(model, TILE)
    assert difference(step(model, pack), plain) < 1e-6
    assert list(model.state_dict()) == names
    save_attention_outputs(model)
    assert difference(step(model, pack), plain) < 1e-6


def test_adapters_that_come_after_it():
    pack, steps = PackCollator()(mixed("qwen2_5_vl")), []
    for tile in (None, TILE):
        model = build("qwen2_5_vl")
        if tile is not None:
            tile_mlps(model, tile)
        torch.manual_seed(1)
        config = LoraConfig(r=4, target_modules=LANGUAGE_LINEARS, init_lora_weights=False)
        steps.append(step(get_peft_model(model, config), pack))
    assert difference(steps[1], steps[0]) < 1e-6


def test_a_frozen_language_model():
    pack, model = PackCollator()(mixed("qwen2_5_vl")), build("qwen2_5_vl")
    model.model.language_model.requires_grad_(False)
    plain = step(model, pack)
    tile_mlps(model, TILE)
    assert difference(step(model, pack), plain) < 1e-6


def test_without_gradients():
    model, pack = build("qwen2_5_vl"), PackCollator()(mixed("qwen2_5_vl"))
    with torch.no_grad():
        plain = model(**pack).logits
        tile_mlps(model, TILE)
        assert torch.allclose(model(**pack).logits, plain, rtol=1e-5, atol=1e-5)


def test_autocast_is_the_same_the_second_time():
    """Under bfloat16 the gradients differ by its rounding; computed again in float32 they would not be of the same outputs."""
    model, pack = build("qwen2_5_vl"), PackCollator()(mixed("qwen2_5_vl"))
    exact, plain = step(model, pack), step(model, pack, autocast=True)
    tile_mlps(model, TILE)
    tiled = step(model, pack, autocast=True)
    assert torch.equal(tiled[0], plain[0])
    assert difference(tiled, exact) < 1.1 * difference(plain, exact)


def mlp(dropout=0.0, tile=None):
    """The MLP of a tiny model's first layer, with adapters."""
    torch.manual_seed(0)
    config = LoraConfig(
        r=4, target_modules=LANGUAGE_LINEARS, init_lora_weights=False, lora_dropout=dropout, bias="none"
    )
    model = get_peft_model(tiny.model(), config).train()
    if tile is not None:
        tile_mlps(model, tile)
    return language_layers(model)[0].mlp


def test_dropout_draws_the_same_numbers_again():
    hidden = torch.randn(1, 100, 64)
    plain, tiled = mlp(dropout=0.5), mlp(dropout=0.5, tile=TILE)
    results = []
    for forward in (lambda x: torch.cat([plain(tile) for tile in x.split(TILE, dim=1)], dim=1), tiled):
        torch.manual_seed(5)
        leaf = hidden.clone().requires_grad_()
        out = forward(leaf)
        after = torch.rand(1)  # what comes next is what it would have been
        out.square().sum().backward()
        results.append((out.detach(), leaf.grad, after, torch.rand(1)))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_other_random_numbers_are_a_wrong_gradient(monkeypatch):
    monkeypatch.setattr(tiled_mlp._Tiles, "same_random_numbers", lambda tiles: torch.enable_grad())
    with pytest.raises(AssertionError):
        test_dropout_draws_the_same_numbers_again()


def test_a_tile_that_is_left_out_is_seen(monkeypatch):
    model, pack = build("qwen2_5_vl"), PackCollator()(mixed("qwen2_5_vl"))
    plain = step(model, pack)
    tile_mlps(model, TILE)
    backward = tiled_mlp._Backward.backward

    def all_but_the_last(ctx, grad):
        ctx.tiles.rows = ctx.tiles.rows[:-1]
        return backward(ctx, grad)

    monkeypatch.setattr(tiled_mlp._Backward, "backward", staticmethod(all_but_the_last))
    assert difference(step(model, pack), plain) > 1e-3


def peak(length, tile, checkpointing):
    """Of one wide MLP, forward and backward."""
    config = tiny.config(intermediate_size=1024)
    layer = type(tiny.model())._from_config(config)
    if tile is not None:
        tile_mlps(layer, tile)
    forward, hidden = language_layers(layer)[0].mlp, torch.randn(1, length, 64, requires_grad=True)
    with LiveBytes() as memory:
        out = checkpoint(forward, hidden, use_reentrant=False) if checkpointing else forward(hidden)
        out.sum().backward()
    return memory.peak


@pytest.mark.parametrize("checkpointing", [True, False])
def test_the_peak_grows_by_the_hidden_states_alone(checkpointing):
    a_token = {
        tile: (peak(4096, tile, checkpointing) - peak(2048, tile, checkpointing)) / 2048 for tile in (None, 256)
    }
    assert a_token[None] > 3 * 1024 * 4
    assert a_token[256] <= 4 * 64 * 4  # output, its gradient, the input's


def flops(lora, tile):
    """Of the GEMMs of a step with gradient checkpointing."""
    model, pack = build("qwen2_5_vl", lora), PackCollator()(mixed("qwen2_5_vl"))
    if tile is not None:
        tile_mlps(model, tile)
    model.activation_checkpointing_enable()
    with FlopCounterMode(display=False) as counter:
        model.train()(**pack).loss.backward()
    return counter.get_total_flops()


def test_no_mlp_is_computed_a_third_time(monkeypatch):
    """Of the recomputed layer all but the last product is computed again anyway; the tiles add that one, and no more."""
    tokens = PackCollator()(mixed("qwen2_5_vl"))["input_ids"].numel()
    plain, last_product = flops(False, None), 2 * 2 * tokens * 96 * 64
    assert flops(False, TILE) == plain + last_product
    assert flops(True, TILE) < 1.003 * flops(True, None)

    def nested(mlp, forward, tokens, hidden):
        return torch.cat([checkpoint(forward, tile, use_reentrant=False) for tile in hidden.split(tokens, 1)], 1)

    monkeypatch.setattr(tiled_mlp, "_tiled", nested)  # the guard: this computes most tiles a third time
    assert flops(False, TILE) > plain + 2.5 * last_product


def test_a_row_that_is_no_longer_than_a_tile_is_computed_as_before():
    plain, tiled = mlp(), mlp(tile=100)
    hidden = torch.randn(1, 100, 64)
    assert torch.equal(plain(hidden), tiled(hidden))
    assert "Backward" in type(tiled(torch.randn(1, 101, 64)).grad_fn).__name__


def test_refusals():
    with pytest.raises(ValueError, match="mlp_tile is 0 tokens, expected at least 1"):
        tile_mlps(tiny.model(), 0)
    with pytest.raises(ValueError, match="the model is a Linear, expected"):
        tile_mlps(torch.nn.Linear(1, 1), 64)
