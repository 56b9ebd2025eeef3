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
    "values",
    [
        {"base_url": "http://user:secret@host/v1"},
        {"base_url": "https://secret@host"},
        {"base_url": "http://user:se/secret@host/v1"},
        {"base_url": "http://user:secret@host/v1", "provider": "together"},
        {"base_url": "ftp://user:secret@host/v1"},
    ],
)
def test_an_address_with_a_key_is_refused_without_repeating_it(values):
    with pytest.raises(
        ValueError, match="base_url holds an @, expected an address without a user name or key"
    ) as info:
        EndpointOptions("m", **values)
    assert "secret" not in str(info.value)


@pytest.mark.parametrize("value", ["sk-secret", "hf_" + "secret" * 5, "secret" * 11, "secret\n", "1secret", "", "a b"])
def test_a_key_in_place_of_its_variable_is_refused_without_repeating_it(value):
    with pytest.raises(ValueError, match="api_key_env is not the name of an environment variable") as info:
        EndpointOptions("m", api_key_env=value)
    assert "secret" not in str(info.value)


@pytest.mark.parametrize("value", ["_", "hf_token", "A" * 64, "Key_2"])
def test_names_of_variables(value):
    assert EndpointOptions("m", api_key_env=value).api_key_env == value


@pytest.mark.parametrize("key", ["secret\nsecret", "secret\r\nx-header: 1", "secret\x07x", "secret\u20acx"])
def test_a_key_that_no_header_can_hold_is_named_without_it(monkeypatch, key):
    monkeypatch.setenv("TEACHER_KEY", key)
    options = EndpointOptions("m", base_url="https://api.example.com/v1", api_key_env="TEACHER_KEY")
    with pytest.raises(ValueError, match="the key in TEACHER_KEY holds a line break or another character") as info:
        options.read_key()
    assert "secret" not in str(info.value)


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
