"""rope.py: frequencies against independent arithmetic, both config formats against what a version 4 reader looks up."""

import json
import math
from pathlib import Path

import pytest
import tiny
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLRotaryEmbedding
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRotaryEmbedding

from mmprolong_hf.encoding import encode_prompt
from mmprolong_hf.rope import extend_checkpoint, extend_context, write_both_formats

ROTARY = {"qwen2_5_vl": Qwen2_5_VLRotaryEmbedding, "qwen3_vl": Qwen3VLTextRotaryEmbedding}
# family, options, then the base, factor and original positions they must lead to
YARN = [
    ("qwen2_5_vl", {}, 1e6, 4.0, 32768),
    ("qwen2_5_vl", {"rope_theta": 4e6}, 4e6, 4.0, 32768),
    ("qwen3_vl", {"factor": 3.0, "original_max_position_embeddings": 262144, "max_position_embeddings": 786432}, 5e6, 3.0, 262144),
]  # fmt: skip


def default_frequencies(head_dim, base):
    return [base ** (-2 * i / head_dim) for i in range(head_dim // 2)]


def yarn_frequencies(head_dim, base, factor, original):
    """YaRN (arXiv 2309.00071, section 3.2) pair by pair: a pair that turns more than 32 times within the old window keeps its
    frequency, one that turns less than once is slowed by the factor, and those between are mixed linearly."""

    def pair_that_turns(times):
        return head_dim * math.log(original / (times * 2 * math.pi)) / (2 * math.log(base))

    first, last = math.floor(pair_that_turns(32)), math.ceil(pair_that_turns(1))
    first, last = max(first, 0), min(last, head_dim - 1)
    out = []
    for i, frequency in enumerate(default_frequencies(head_dim, base)):
        slowed = min(max((i - first) / (last - first), 0), 1)
        out.append(frequency * (1 - slowed) + frequency / factor * slowed)
    return out


def logits(model, family):
    inputs = encode_prompt(tiny.processor(family), [tiny.page(0), tiny.page(1)], [1, 2], "What is on page 2?")
    with torch.no_grad():
        return model(**inputs).logits


def reload_with(model, config, folder):
    model.save_pretrained(folder)
    return AutoModelForImageTextToText.from_pretrained(folder, config=config).eval()


@pytest.mark.parametrize(
    ("family", "options"),
    [("qwen2_5_vl", {"rope_theta": 1e6, "max_position_embeddings": 32768}), ("qwen3_vl", {})],
)
def test_extending_to_what_it_is_changes_no_logit(family, options, tmp_path):
    model = tiny.model(family)
    config = extend_context(model.config, **options)
    assert config.text_config.to_dict() == model.config.text_config.to_dict()
    assert torch.equal(logits(reload_with(model, config, tmp_path), family), logits(model, family))


def test_extending_changes_logits(tmp_path):
    """The guard of the test above: it would see a base that moved."""
    model = tiny.model()
    longer = reload_with(model, extend_context(model.config), tmp_path)
    assert not torch.allclose(logits(longer, "qwen2_5_vl"), logits(model, "qwen2_5_vl"), atol=1e-3)


@pytest.mark.parametrize(
    ("family", "options", "base"),
    [("qwen2_5_vl", {}, 4e6), ("qwen2_5_vl", {"rope_theta": 8e6}, 8e6), ("qwen3_vl", {"rope_theta": 2e7}, 2e7)],
)
def test_base_sets_every_frequency(family, options, base):
    config = extend_context(tiny.config(family), **options)
    embedding = ROTARY[family](config.text_config)
    expected = torch.tensor(default_frequencies(16, base))
    torch.testing.assert_close(embedding.inv_freq, expected, rtol=1e-6, atol=0)
    assert embedding.attention_scaling == 1.0


@pytest.mark.parametrize(("family", "options", "base", "factor", "original"), YARN)
def test_yarn_equals_independent_arithmetic(family, options, base, factor, original):
    config = extend_context(tiny.config(family), rope_type="yarn", **options)
    embedding = ROTARY[family](config.text_config)
    expected = torch.tensor(yarn_frequencies(16, base, factor, original))
    torch.testing.assert_close(embedding.inv_freq, expected, rtol=1e-6, atol=0)
    assert embedding.attention_scaling == pytest.approx(0.1 * math.log(factor) + 1, abs=1e-12)
    assert embedding.mrope_section == tiny.config(family).text_config.rope_parameters["mrope_section"]


def published_7b(**rope):
    text = {"hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]} | rope
    return Qwen2_5_VLConfig(text_config=text | {"max_position_embeddings": 128000, "rope_parameters": rope})


def test_yarn_at_the_size_of_the_7b_changes_40_of_64_frequencies():
    embedding = Qwen2_5_VLRotaryEmbedding(extend_context(published_7b(), rope_type="yarn").text_config)
    expected = torch.tensor(yarn_frequencies(128, 1e6, 4.0, 32768))
    torch.testing.assert_close(embedding.inv_freq, expected, rtol=1e-6, atol=0)
    before = torch.tensor(default_frequencies(128, 1e6))
    assert int((~torch.isclose(embedding.inv_freq, before, rtol=1e-5, atol=0)).sum()) == 40
    assert embedding.attention_scaling == pytest.approx(1.1386, abs=1e-4)


def test_original_positions_of_the_published_config_would_give_another_yarn():
    """The guard of the test above, and the mistake it stands against: 128000 is not what the text was trained on."""
    rope = {"rope_type": "yarn", "factor": 131072 / 128000, "original_max_position_embeddings": 128000}
    embedding = Qwen2_5_VLRotaryEmbedding(published_7b(**rope).text_config)
    assert not torch.allclose(
        embedding.inv_freq, torch.tensor(yarn_frequencies(128, 1e6, 4.0, 32768)), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("rope_type", ["default", "yarn"])
def test_input_stays_and_sections_are_kept(family, rope_type):
    config = tiny.config(family)
    before = config.to_dict()
    options = dict(YARN[2][1]) if family == "qwen3_vl" and rope_type == "yarn" else {}
    extended = extend_context(config, rope_type=rope_type, **options)
    assert config.to_dict() == before
    for key in ("mrope_section", "mrope_interleaved"):
        assert extended.text_config.rope_parameters.get(key) == config.text_config.rope_parameters.get(key)
    assert extended.vision_config.to_dict() == config.vision_config.to_dict()


def test_windows_of_the_families():
    assert extend_context(tiny.config("qwen2_5_vl")).text_config.max_position_embeddings == 131072
    assert extend_context(tiny.config("qwen3_vl")).text_config.max_position_embeddings == 262144
    assert extend_context(published_7b()).text_config.max_position_embeddings == 131072


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (tiny.config().text_config, {}, "model_type is 'qwen2_5_vl_text', expected one of"),
        (tiny.config(), {"rope_type": "linear"}, "rope_type is 'linear', expected 'default' or 'yarn'"),
        (tiny.config(), {"rope_type": "yarn", "factor": 0.5}, "factor is 0.5, expected at least 1"),
        (
            tiny.config(),
            {"rope_type": "yarn", "factor": 2.0},
            "65536, but max_position_embeddings is 131072: make them agree",
        ),
        (tiny.config(), {"factor": 4.0}, "belong to YaRN: pass rope_type='yarn'"),
        (tiny.config(), {"original_max_position_embeddings": 32768}, "belong to YaRN: pass rope_type='yarn'"),
        (
            tiny.config(),
            {"max_position_embeddings": 16384},
            "max_position_embeddings=16384 is smaller than the config's own",
        ),
        (tiny.config("qwen3_vl"), {"max_position_embeddings": 131072}, "is smaller than the config's own 262144"),
        (tiny.config(), {"rope_theta": 1e4}, "rope_theta=10000.0 is smaller than the config's own"),
        (tiny.config(rope_parameters={"rope_type": "default", "rope_theta": 1e6}), {}, "has no mrope_section"),
        (published_7b(mrope_section=[16, 24, 16]), {}, r"sums to 56, expected half of the head size 128, 64"),
        (extend_context(tiny.config()), {}, "already extended \\(rope_type 'default', rope_theta 4e\\+06"),
        (extend_context(tiny.config(), rope_type="yarn"), {"rope_theta": 8e6}, "already extended \\(rope_type 'yarn'"),
    ],
)
def test_refusals(config, options, message):
    with pytest.raises(ValueError, match=message):
        extend_context(config, **options)


def test_a_live_model_is_refused():
    with pytest.raises(ValueError, match="takes a config, got Qwen2_5_VLForConditionalGeneration: a live model keeps"):
        extend_context(tiny.model())


def version_4_text_config(folder) -> dict:
    """What the nested text configs of transformers 4.52 to 4.57 take from a checkpoint: keys they know, by name, each with the
    default of the class; `rope_parameters` is unknown to them, and a "type" overrules "rope_type"."""
    content = json.loads(Path(folder, "config.json").read_text())
    text = content["text_config"]
    scaling = dict(text.get("rope_scaling") or {})
    if "type" in scaling:
        scaling["rope_type"] = "default" if scaling["type"] == "mrope" else scaling["type"]
    theta = {"qwen2_5_vl": 1e6, "qwen3_vl": 5e6}[content["model_type"]]
    return {
        "rope_theta": text.get("rope_theta", theta),
        "max_position_embeddings": text.get("max_position_embeddings", 32768),
        "rope_scaling": scaling or None,
    }


@pytest.mark.parametrize(
    ("family", "options", "theta", "window"),
    [
        ("qwen2_5_vl", {}, 4e6, 131072),
        ("qwen2_5_vl", {"rope_type": "yarn"}, 1e6, 131072),
        ("qwen2_5_vl", {"rope_type": "yarn", "rope_theta": 4e6}, 4e6, 131072),
        ("qwen3_vl", {}, 5e6, 262144),
        ("qwen3_vl", {"rope_theta": 2e7, "max_position_embeddings": 524288}, 2e7, 524288),
        ("qwen3_vl", {"rope_type": "yarn", **YARN[2][1]}, 5e6, 786432),
    ],
)
def test_both_formats_say_the_same(family, options, theta, window, tmp_path, recwarn):
    extended = extend_context(tiny.config(family), **options)
    extended.save_pretrained(tmp_path)
    only_5 = AutoConfig.from_pretrained(tmp_path).to_dict()
    missed = version_4_text_config(tmp_path)
    assert missed["rope_scaling"] is None, "version 5 began to write the v4 keys: write_both_formats can go"

    write_both_formats(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).to_dict() == only_5
    assert AutoConfig.from_pretrained(tmp_path).text_config.to_dict() == extended.text_config.to_dict()
    rope = {key: value for key, value in extended.text_config.rope_parameters.items() if key != "rope_theta"}
    assert version_4_text_config(tmp_path) == {
        "rope_theta": theta,
        "max_position_embeddings": window,
        "rope_scaling": rope,
    }
    assert not recwarn.list

    first = Path(tmp_path, "config.json").read_bytes()
    write_both_formats(tmp_path)
    assert Path(tmp_path, "config.json").read_bytes() == first


def test_a_type_left_from_version_4_does_not_undo_yarn(tmp_path):
    published = Qwen2_5_VLConfig(
        rope_theta=1e6, rope_scaling={"type": "mrope", "mrope_section": [16, 24, 24]},
        max_position_embeddings=128000, hidden_size=3584, num_attention_heads=28, num_key_value_heads=4,
    )  # fmt: skip
    assert published.text_config.rope_parameters["type"] == "mrope"
    extend_context(published, rope_type="yarn").save_pretrained(tmp_path)
    write_both_formats(tmp_path)
    assert version_4_text_config(tmp_path)["rope_scaling"]["rope_type"] == "yarn"


def test_v4_keys_at_the_top_level_would_break_version_5(tmp_path):
    """Why they are not written there: Qwen2.5-VL's outer config has no window to check YaRN against. When this fails,
    transformers has learnt to read them."""
    extend_context(tiny.config(), rope_type="yarn").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    rope = dict(content["text_config"]["rope_parameters"])
    path.write_text(json.dumps(content | {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}))
    with pytest.raises(AttributeError, match="max_position_embeddings"):
        AutoConfig.from_pretrained(tmp_path)


def test_both_formats_need_a_version_5_config(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl", "rope_theta": 1000000.0}')
    with pytest.raises(ValueError, match=r"has no text_config.rope_parameters: save it with transformers 5"):
        write_both_formats(tmp_path)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_extended_checkpoint_loads_with_the_new_base_and_the_old_weights(family, tmp_path):
    model = tiny.model(family)
    model.save_pretrained(tmp_path / "base")
    tiny.processor(family).save_pretrained(tmp_path / "base")
    extend_checkpoint(tmp_path / "base", tmp_path / "out" / "long", rope_theta=2e7)

    names = {path.name for path in (tmp_path / "base").iterdir()}
    assert names == {path.name for path in (tmp_path / "out" / "long").iterdir()}
    for name in names - {"config.json"}:
        assert (tmp_path / "out" / "long" / name).read_bytes() == (tmp_path / "base" / name).read_bytes(), name
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["long"]

    assert version_4_text_config(tmp_path / "out" / "long")["rope_theta"] == 2e7
    long = AutoModelForImageTextToText.from_pretrained(tmp_path / "out" / "long")
    inv_freq = long.model.language_model.rotary_emb.inv_freq
    torch.testing.assert_close(inv_freq, torch.tensor(default_frequencies(16, 2e7)), rtol=1e-6, atol=0)
    for (name, new), old in zip(long.named_parameters(), model.parameters()):
        assert torch.equal(new, old), name


def test_extending_a_folder_overwrites_nothing_and_leaves_nothing_behind(tmp_path):
    tiny.config().save_pretrained(tmp_path / "base")
    (tmp_path / "there").mkdir()
    with pytest.raises(ValueError, match="there exists: name a new folder"):
        extend_checkpoint(tmp_path / "base", tmp_path / "there")
    with pytest.raises(ValueError, match="expected at least 1: YaRN lengthens"):
        extend_checkpoint(tmp_path / "base", tmp_path / "long", rope_type="yarn", factor=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "there"]


def test_a_copy_inside_the_source_is_refused(tmp_path):
    tiny.config().save_pretrained(tmp_path / "base")
    with pytest.raises(ValueError, match="lies inside"):
        extend_checkpoint(tmp_path / "base", tmp_path / "base" / "long")


@pytest.mark.parametrize("theta", [float("nan"), float("inf")])
def test_a_base_that_is_no_number_is_refused(theta):
    with pytest.raises(ValueError, match="expected a finite number"):
        extend_context(tiny.config(), rope_theta=theta)
