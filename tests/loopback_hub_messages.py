"""Requests to the loopback Hub and its replies, without a connection."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """
    Args:
        target (`str`): Path and query as sent; a slash inside of a revision is quoted there.
        server (`str`): The Hub's URL.
        storage (`str`): URL of the same server under another host name: large files are elsewhere, as on the Hub.
    """

    method: str
    target: str
    authorization: str | None
    range: str | None
    body: bytes
    server: str
    storage: str

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class Reply:
    """Its body is bytes, or what becomes JSON."""

    body: object = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.body, bytes):
            self.body = json.dumps(self.body).encode()
            self.headers = {"Content-Type": "application/json"} | self.headers


def part_of(content: bytes, asked: str | None, headers: dict[str, str]) -> Reply:
    """The bytes of a `Range: bytes=FIRST-LAST`, `FIRST-` or `-COUNT`; all of them where none is asked for."""
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"} | headers
    if asked is None:
        return Reply(content, headers=headers)
    first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", asked).groups()
    start = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    if start > end:
        return Reply(b"", 416, headers | {"Content-Range": f"bytes */{len(content)}"})
    return Reply(content[start : end + 1], 206, headers | {"Content-Range": f"bytes {start}-{end}/{len(content)}"})


FAILURES = {
    "429": Reply({"error": "Too many requests"}, 429, {"Retry-After": "0"}),
    "500": Reply(b"<html>Internal Server Error</html>", 500, {"Content-Type": "text/html"}),  # as gateways answer
}
