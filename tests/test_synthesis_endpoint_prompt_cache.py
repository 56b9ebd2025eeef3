"""Tokens of a prompt that a server had computed before."""

import pytest

from mmprolong_hf.synthesis.endpoint.prompt_cache import read_cached_tokens


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 96, "audio_tokens": 0}}, 96),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 0}}, 0),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 101}}, None),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": -1}}, None),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": None}}, None),
        ({"prompt_tokens": 100, "prompt_tokens_details": {}}, None),
        ({"prompt_tokens": 100, "prompt_tokens_details": None}, None),
        ({"prompt_tokens": 100}, None),
        (None, None),
    ],
)
def test_cached_tokens_are_what_the_server_tells_and_can_be(usage, cached):
    assert read_cached_tokens({"choices": [], "usage": usage}) == cached
    assert read_cached_tokens({"choices": []}) is None
