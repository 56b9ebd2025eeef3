import pytest

from mmprolong_hf.config import MMProLongConfig


def config(tmp_path, **options):
    return MMProLongConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **options)


@pytest.mark.parametrize("strategy", ["every_save", "checkpoint", "all_checkpoints"])
def test_strategies_that_publish_half_trained_weights_are_refused(tmp_path, strategy):
    message = rf"hub_strategy is '{strategy}', which would publish half-trained .*; expected 'end'\. A checkpoint is"
    with pytest.raises(ValueError, match=message):
        config(tmp_path, push_to_hub=True, hub_strategy=strategy)


def test_publishing_is_at_the_end(tmp_path):
    assert config(tmp_path, push_to_hub=True).hub_strategy == "end"


def test_a_token_has_no_place_in_a_recipe(tmp_path):
    with pytest.raises(
        ValueError, match=r"hub_token is given, which would be written into every checkpoint"
    ) as caught:
        config(tmp_path, hub_token="hf_secret")
    assert "hf_secret" not in str(caught.value)
