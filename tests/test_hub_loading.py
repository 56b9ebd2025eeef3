import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from mmprolong_hf.hub.loading import from_hub


def answered(status):
    request = httpx2.Request("GET", "https://hub/api/models/org/base")
    response = httpx2.Response(status, headers={"Retry-After": "0"}, request=request)
    return HfHubHTTPError(f"{status} at a request\nRequest ID: 7", response=response)


def loading(*failures):
    """A load that fails so, each time as snapshot_download says it, and then gives something; and the failures that it has left."""
    left = list(failures)

    def load():
        if left:
            raise LocalEntryNotFoundError("An error happened") from left.pop(0)
        return "loaded"

    return load, left


def test_failures_that_pass_are_passed():
    load, left = loading(answered(429), answered(500), answered(503))
    assert from_hub(load, "no") == "loaded"
    assert not left


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "^org/x: it answered 401, so the token is missing, wrong or may not read it"),
        (403, "^org/x: it answered 403, so the token is missing, wrong or may not read it"),
        (404, r"^org/x: it answered 404, so there is no such .*\(404 at a request\)$"),
        (400, r"^org/x: it answered 400 \(400 at a request\)"),
    ],
)
def test_what_does_not_pass_is_one_line_at_once(status, reason):
    load, left = loading(answered(status), answered(status))
    with pytest.raises(ValueError, match=reason) as caught:
        from_hub(load, "org/x")
    assert len(left) == 1
    assert "\n" not in str(caught.value)


def test_the_last_failure_is_told():
    load, _ = loading(*[answered(503)] * 8)
    with pytest.raises(ValueError, match=r"it answered 503 .*; the same command goes on later"):
        from_hub(load, "org/x")


def test_what_is_no_failure_of_the_hub_stays_what_it_is():
    with pytest.raises(OfflineModeIsEnabled):
        from_hub(loading(OfflineModeIsEnabled("HF_HUB_OFFLINE"))[0], "org/x")
    with pytest.raises(LocalEntryNotFoundError):
        from_hub(loading(None)[0], "org/x")
