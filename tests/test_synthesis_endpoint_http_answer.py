"""Retry-After in all its forms, and bodies without an end."""

import asyncio
import email.utils
import time

import httpx2
import pytest

from mmprolong_hf.synthesis.endpoint import http_answer
from mmprolong_hf.synthesis.endpoint.http_answer import LONGEST_RETRY_AFTER, read_body, read_retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 0.0), ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("86400", LONGEST_RETRY_AFTER), ("soon", 0.0)],
)
def test_seconds(value, seconds):
    assert read_retry_after(value) == seconds


def test_a_date():
    assert read_retry_after(email.utils.formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)
    assert read_retry_after(email.utils.formatdate(time.time() - 30, usegmt=True)) == 0.0


@pytest.mark.parametrize(("pieces", "length"), [(3, 30), (10, 100), (11, 110), (1000, 110)])
def test_a_body_is_read_until_it_is_too_large(pieces, length, monkeypatch):
    monkeypatch.setattr(http_answer, "MAX_BODY_BYTES", 100)

    async def content():
        for _ in range(pieces):
            yield b"x" * 10

    assert len(asyncio.run(read_body(httpx2.Response(200, content=content())))) == length
