"""Where requests go, and with which key."""

import pickle

import pytest

from mmprolong_hf.synthesis.endpoint import EndpointOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base_url": "http://a/v1", "provider": "together"}, "expected one of them"),
        ({"base_url": "localhost:8000"}, "expected it to start with http"),
        ({"style": "xml"}, "expected one of json, tagged"),
        ({"concurrency": 0}, "concurrency is 0, expected at least 1"),
        ({"max_tokens": 0}, "max_tokens is 0, expected at least 1"),
        ({"max_retries": -1}, "max_retries is -1, expected at least 0"),
        ({"prompt_price": -1.0}, "prompt_price is -1.0, expected at least 0"),
        ({"timeout": 0.0}, "timeout is 0.0, expected more than 0"),
        ({"batch_discount": 1.0}, "batch_discount is 1.0, expected a part"),
    ],
)
def test_wrong_options_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        EndpointOptions("m", **values)


@pytest.mark.parametrize(
    ("base_url", "variable", "key"),
    [
        (None, "HF_TOKEN", "hf_secret"),
        ("https://x1.us-east-1.aws.endpoints.huggingface.cloud/v1", "HF_TOKEN", "hf_secret"),
        ("http://localhost:8000/v1", "HF_TOKEN", None),
        ("https://nothuggingface.co/v1", "HF_TOKEN", None),
        ("https://huggingface.co.example.com/v1", "HF_TOKEN", None),
        ("https://api.example.com/v1", "TEACHER_KEY", "sk-1"),
        ("https://api.example.com/v1", "NOT_SET", None),
    ],
)
def test_hugging_face_tokens_go_to_hugging_face_alone(monkeypatch, base_url, variable, key):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("TEACHER_KEY", "sk-1\n")  # as read from a file
    monkeypatch.delenv("NOT_SET", raising=False)
    options = EndpointOptions("m", base_url=base_url, api_key_env=variable)
    assert options.read_key() == key
    assert b"secret" not in pickle.dumps(options)
    assert "secret" not in repr(options)


def test_a_url_may_end_in_a_slash():
    assert EndpointOptions("m", base_url="http://a:1/v1/").url == "http://a:1/v1/chat/completions"
    assert EndpointOptions("m").served_model == "m"
