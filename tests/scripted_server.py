"""A real HTTP server on this machine that speaks OpenAI's chat completions and answers, or fails, by a script."""

import base64
import contextlib
import hashlib
import json
import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

# The faults that a teacher's server shows, by share
FAULTS = {"429": 0.10, "500": 0.05, "cut": 0.05, "bad_json": 0.05, "hang": 0.02}
TOKENS_PER_IMAGE = 100


class Answer:
    """
    What the server sends for one request, if it is more than a text.

    Args:
        body (`dict`, `bytes` or `str`): JSON of the answer; a text becomes a chat completion.
        status (`int`): HTTP status.
        headers (`dict`): Headers beside the length and type.
        finish_reason (`str`): Of a chat completion.
        usage (`bool`): Whether a chat completion tells its usage.
        fault (`str`): `"cut"` sends half of it and closes, `"reset"` closes without a byte, `"hang"` sends nothing
            until the server closes.
        delay (`float`): Seconds before it is sent.
    """

    def __init__(self, body="", *, status=200, headers=None, finish_reason="stop", usage=True, fault="", delay=0.0):
        self.body, self.status, self.headers = body, status, headers or {}
        self.finish_reason, self.usage, self.fault, self.delay = finish_reason, usage, fault, delay


def error(status: int, message: str, code: str = "", **headers: str) -> Answer:
    """An error as OpenAI writes it."""
    return Answer({"error": {"message": message, "code": code}}, status=status, headers=headers)


def texts(body: dict) -> str:
    """All text of a request, joined."""
    parts = [p for message in body["messages"] for p in _parts(message)]
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


def images(body: dict) -> list[bytes]:
    """The images of a request as they were sent."""
    urls = [p["image_url"]["url"] for m in body["messages"] for p in _parts(m) if p["type"] == "image_url"]
    return [base64.b64decode(url.partition(";base64,")[2]) for url in urls]


def seeded_faults(seed: int, shares: dict[str, float] = FAULTS) -> Callable[[int], str]:
    """
    A schedule: the fault of the n-th HTTP request, `""` for none. Each share is exact within a hundred requests.

    Args:
        seed (`int`): Of the order.
        shares (`dict[str, float]`): Fault -> part of all requests, in steps of 0.01.
    """
    block = [fault for fault, share in shares.items() for _ in range(round(share * 100))]
    block += [""] * (100 - len(block))
    order: list[str] = []
    rng = random.Random(seed)

    def fault(index: int) -> str:
        while len(order) <= index:
            order.extend(rng.sample(block, 100))
        return order[index]

    return fault


class ScriptedServer:
    """
    A server in a thread of this process; `with` starts and stops it, and raises what `answer` raised.

    Args:
        answer (`Callable[[dict], str | Answer]`): From the parsed body of a request.
        faults (`Callable[[int], str]`, *optional*): The fault of the n-th request, from `seeded_faults`. `429` and
            `500` come before any work is done; with `cut`, `bad_json` and `hang` the work is done, and charged, and
            the answer lost.

    Attributes:
        url (`str`): Its base_url.
        requests (`list[dict]`): Bodies in the order they came; `headers` beside them.
        charged (`Counter[str]`): How often the work for a body was done, by its sha256.
        delivered (`Counter[str]`): How often a whole completion was sent, by the same.
        shown (`Counter[str]`): Faults that were shown.
        most_at_once (`int`): Requests that were under way at the same time.
    """

    def __init__(self, answer: Callable[[dict], str | Answer], faults: Callable[[int], str] = lambda index: ""):
        self.answer, self.faults = answer, faults
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.charged, self.delivered, self.shown = Counter(), Counter(), Counter()
        self.tokens = Counter()  # of what was charged
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"script": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        for connection in self._server.connections:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        if self._server.errors:
            raise self._server.errors[0]

    def respond(self, handler: "_Handler", body: dict) -> None:
        """Answer one request."""
        with self._lock:
            fault = self.faults(len(self.requests))
            self.requests.append(body)
            self.headers.append({k.lower(): v for k, v in handler.headers.items()})
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.shown[fault or "none"] += 1
        try:
            if fault == "429":
                answer = error(429, "too many requests", **{"retry-after": "0"})
            elif fault == "500":
                answer = error(500, "the server has a fault")
            else:
                answer = self.answer(body)
            answer = Answer(answer) if isinstance(answer, str) else answer
            answer.fault = answer.fault or fault
            content = self._work(body, answer)
            if answer.delay:
                self._closing.wait(answer.delay)
        finally:
            with self._lock:  # before the client can know the answer and send its next request
                self._at_once -= 1
        self._send(handler, body, answer, content)

    def _work(self, body: dict, answer: Answer) -> bytes:
        if isinstance(answer.body, bytes):
            return answer.body
        if isinstance(answer.body, dict):
            return json.dumps(answer.body).encode()
        message = {"role": "assistant", "content": answer.body}
        completion = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        }
        if answer.usage:
            sent, written = len(texts(body)) // 4 + TOKENS_PER_IMAGE * len(images(body)) + 1, len(answer.body) // 4 + 1
            completion["usage"] = {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
            with self._lock:
                self.tokens.update(prompt=sent, completion=written)
        with self._lock:
            self.charged[name_of(body)] += 1
        return json.dumps(completion).encode()

    def _send(self, handler: "_Handler", body: dict, answer: Answer, content: bytes) -> None:
        handler.close_connection = answer.fault in ("cut", "reset", "hang")
        if answer.fault == "hang":
            self._closing.wait()
        if answer.fault in ("hang", "reset"):
            return
        if answer.fault == "bad_json":
            content = content[: len(content) // 2]
        handler.send_response(answer.status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(content)),
            **answer.headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        if answer.status == 200 and not answer.fault:
            with self._lock:
                self.delivered[name_of(body)] += 1
        handler.wfile.write(content[: len(content) // 2] if answer.fault == "cut" else content)


def name_of(body: dict) -> str:
    """The sha256 of a request's body."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _parts(message: dict) -> list[dict]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing joins them
    request_queue_size = 128

    def __init__(self, *args):
        super().__init__(*args)
        self.connections: list[socket.socket] = []
        self.errors: list[BaseException] = []

    def process_request(self, request: socket.socket, client_address) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # a client that was cancelled or timed out has closed its end
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ScriptedServer

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        content = self.rfile.read(length)
        if len(content) < length:  # the client was killed while it sent
            self.close_connection = True
            return
        body = json.loads(content)
        if self.path != "/v1/chat/completions":
            self.send_error(404, f"{self.path} is not served")
            return
        self.script.respond(self, body)

    def log_message(self, *args) -> None:
        pass
