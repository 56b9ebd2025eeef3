"""Replies on disk, written by several processes."""

import pickle
import subprocess
import sys

import pytest

from mmprolong_hf.synthesis.endpoint import ReplyCache, RequestFailed
from mmprolong_hf.synthesis.endpoint.replies import Completion, read_completion

STOP = Completion("42", "stop", 9, 1, 0.01)


def test_replies_outlive_the_connection_and_the_first_one_stays(tmp_path):
    replies = ReplyCache(tmp_path / "new folder" / "replies.sqlite")
    assert replies.put("k", STOP, model="m") == STOP
    assert replies.put("k", Completion("43", "stop", 9, 1, 0.01), model="m") == STOP
    replies.close()
    replies = ReplyCache(tmp_path / "new folder" / "replies.sqlite")
    assert replies.get("k") == STOP
    assert replies.get("other") is None
    assert len(replies) == 1
    replies.close()


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Completion("a", "length", 9, 2048, 0.0), "truncated: the reply ended after 2048 tokens"),
        (Completion("", "content_filter", 9, 0, 0.0), "filtered"),
        (Completion(" \n", "stop", 9, 2, 0.0), "empty: the reply has no text, its finish_reason is 'stop'"),
    ],
)
def test_unusable_completions_fail_with_their_reason(completion, reason):
    with pytest.raises(RequestFailed, match=reason):
        completion.reply(cached=True)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": [{"text": "old"}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "part"}]}}]},
        {"choices": [{"message": {"content": "a"}, "finish_reason": 1}]},
        {"choices": [{"message": {"content": "a"}, "finish_reason": False}]},
        {"choices": [{"message": {"content": "a"}, "finish_reason": ["stop"]}]},
    ],
)
def test_what_is_no_chat_completion_is_named(body):
    with pytest.raises(ValueError, match="the answer is no chat completion"):
        read_completion(body)


@pytest.mark.parametrize("number", [True, -1, 1.5, "9", 2**31, 10**30, float("nan"), [1]])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_usage_that_is_no_number_of_tokens_is_named(name, number):
    usage = {"prompt_tokens": 2**31 - 1, "completion_tokens": 0}
    body = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    assert read_completion(body)[2] == (2**31 - 1, 0)
    usage[name] = number
    with pytest.raises(ValueError, match=r"the answer's usage is .*, expected prompt_tokens and completion_tokens"):
        read_completion(body)


def test_usage_that_is_no_object_is_named():
    with pytest.raises(ValueError, match=r"the answer's usage is \[9, 1\], expected"):
        read_completion({"choices": [{"message": {"content": "a"}}], "usage": [9, 1]})


def test_halves_of_surrogate_pairs_can_be_stored():
    body = {"choices": [{"message": {"content": "a\ud800"}, "finish_reason": "\udc00"}]}
    assert read_completion(body) == ("a?", "?", None)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"choices": [{"message": {"role": "assistant"}, "finish_reason": "length"}]}, ("", "length", None)),
        ({"choices": [{"message": {"content": None}, "finish_reason": None}]}, ("", "stop", None)),
        ({"choices": [{"message": {"content": "a"}}], "usage": None}, ("a", "stop", None)),
        ({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1}}, ("a", "stop", None)),
        (
            {"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": None}},
            ("a", "stop", None),
        ),
    ],
)
def test_parts_that_servers_leave_out(body, parts):
    assert read_completion(body) == parts


def test_failures_survive_pickling():
    error = pickle.loads(pickle.dumps(RequestFailed("http_400", "too many pages")))
    assert (error.reason, error.detail, str(error)) == ("http_400", "too many pages", "http_400: too many pages")


WRITER = """
import sys
from mmprolong_hf.synthesis.endpoint import ReplyCache
from mmprolong_hf.synthesis.endpoint.replies import Completion
path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
replies = ReplyCache(path)
for i in range(100):
    replies.put(f"{name}-{i}", Completion(name, "stop", 1, 1, 0.0), model="m")
    kept = replies.put(f"shared-{i}", Completion(name, "stop", 1, 1, 0.0), model="m")
    print(kept.text, flush=True)
"""


def test_processes_write_one_file_at_once(tmp_path, environment):
    path = tmp_path / "replies.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in "abc"
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # all make the new file at the same moment
        process.stdin.write("\n")
        process.stdin.flush()
    kept = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert kept[0] == kept[1] == kept[2]  # whoever was first, all of them return it
    replies = ReplyCache(path)
    assert len(replies) == 400
    replies.close()
