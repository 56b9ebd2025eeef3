"""
A Hugging Face Hub on loopback: what real clients ask for when they publish and load, the rules that publishing depends on, and the
faults of a bad day. How it answers is in loopback_hub_requests.py, what it keeps in loopback_hub_store.py.

    with LoopbackHub() as hub:
        subprocess.run(command, env=os.environ | hub.environment)
        hub.files("dataset", "tester/reports")
"""

import base64
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from urllib.parse import unquote, urlsplit

from loopback_hub_messages import FAILURES, Reply, Request
from loopback_hub_requests import Storage
from loopback_hub_store import Commit

MOST_IN_A_ROW = 2
TICK = 0.02  # seconds between the parts of a slow body


def seeded_faults(seed: int, shares: Mapping[str, float]) -> Callable[[int, str, str], str]:
    """
    Faults drawn for each request by its number.

    Args:
        seed (`int`): Of the drawing.
        shares (`Mapping[str, float]`): Fault to its share of the requests; the others are served well.
    """

    def fault(number: int, method: str, path: str) -> str:
        drawn = random.Random(f"{seed} {number}").random()
        for name, share in shares.items():
            if (drawn := drawn - share) < 0:
                return name
        return ""

    return fault


class LoopbackHub:
    """
    Serves while its `with` block runs; `url`, `token` and `environment` are for its clients, the rest for who looks on.

    Args:
        faults (`Callable[[int, str, str], str]`, *optional*): From a request's number (from 1), method and path to `""` or:
            `"429"`, `"500"`; `"cut"`: the connection ends in the middle of the body that is sent, or of the reply where none is;
            `"lost"`: all is done, a commit too, and the connection ends without a reply; `"slow"`. Of one request (method and
            path), at most two are failed until a commit is made: a client that repeats gets through.
        on_request (`Callable[[int, str, str], None]`, *optional*): Called with the same when a request arrives, before its body
            is read: a test may kill the client here. What has arrived whole is still done.
        bytes_per_second (`int`): Of slow bodies.
        page_size (`int`): Entries of a folder in one reply.

    Attributes:
        requests (`list[tuple[str, str]]`): Method and unquoted path of all that arrived.
        uploaded_bytes (`int`): That arrived in the bodies of uploads and commits, cut ones too.
        shown (`Counter[str]`): The faults that were.
    """

    user, token = "tester", "hf_loopback"

    def __init__(
        self,
        faults: Callable[[int, str, str], str] | None = None,
        on_request: Callable[[int, str, str], None] | None = None,
        bytes_per_second: int = 200_000,
        page_size: int = 1000,
    ) -> None:
        self.faults, self.on_request, self.bytes_per_second = faults, on_request, bytes_per_second
        self.storage = Storage(self.user, self.token, page_size)
        self.lock = threading.Condition()
        self.connections: set[socket] = set()
        self.requests: list[tuple[str, str]] = []
        self.uploaded_bytes = 0
        self.shown: Counter[str] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()  # since the last commit

    def __enter__(self) -> "LoopbackHub":
        self.home = tempfile.TemporaryDirectory(prefix="loopback-hub-")
        self.server = Server(("127.0.0.1", 0), Connection)
        self.server.hub = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.thread.join()
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):  # its client has ended it
                    connection.shutdown(SHUT_RDWR)
        self.server.server_close()  # waits for the threads of the connections
        self.home.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        """For client processes, whose caches and settings are this Hub's own."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": self.home.name,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def files(self, repo_type: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Path to content, with the .gitattributes that the Hub itself makes."""
        return {path: file.content for path, file in self.commits(repo_type, repo_id, revision)[0].files.items()}

    def commits(self, repo_type: str, repo_id: str, revision: str = "main") -> list[Commit]:
        """Newest first; the last one is the Hub's own."""
        with self.lock:
            return self.storage.repositories[repo_type, repo_id].history(revision)

    def edit(self, repo_type: str, repo_id: str, files: Mapping[str, bytes | None], branch: str = "main") -> Commit:
        """What a person does in the browser: one commit that sets files, or deletes those that are `None`."""
        operations: list[dict] = [{"key": "header", "value": {"summary": "Edited in the browser"}}]
        for path, content in files.items():
            key = "deletedFile" if content is None else "file"
            operations.append({"key": key, "value": {"path": path, "content": base64.b64encode(content or b"")}})
        with self.lock:
            return self.storage.repositories[repo_type, repo_id].commit(branch, operations)

    def drain(self, seconds: float = 10) -> None:
        """Waits until all that an ended client has sent is answered. Raises TimeoutError while a client lives."""
        with self.lock:
            if not self.lock.wait_for(lambda: not self.connections, seconds):
                raise TimeoutError(f"{len(self.connections)} connections are open after {seconds} s")

    def arrived(self, method: str, path: str) -> str:
        """Counts a request; returns its fault."""
        with self.lock:
            self.requests.append((method, path))
            number = len(self.requests)
            fault = self.faults(number, method, path) if self.faults else ""
            if fault not in ("", "slow"):
                self.failed[method, path] += 1
                fault = fault if self.failed[method, path] <= MOST_IN_A_ROW else ""
            self.shown.update([fault] if fault else [])
        if self.on_request:
            self.on_request(number, method, path)
        return fault

    def answer(self, request: Request) -> Reply:
        with self.lock:
            reply = self.storage.answer(request)
            if is_commit(request.method, request.target) and reply.status == 200:
                self.failed.clear()
            return reply


def is_commit(method: str, path: str) -> bool:
    return method == "POST" and path.startswith("/api/") and "/commit/" in path


class Server(ThreadingHTTPServer):
    daemon_threads = False  # those are not waited for
    hub: LoopbackHub

    def process_request(self, request: socket, client_address: object) -> None:
        with self.hub.lock:
            self.hub.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket) -> None:
        super().shutdown_request(request)
        with self.hub.lock:
            self.hub.connections.discard(request)
            self.hub.lock.notify_all()

    def handle_error(self, request: socket, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may go at any time
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *args: object) -> None:
        """`LoopbackHub.requests` is the log."""

    def serve(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        fault = hub.arrived(self.command, path)
        length = int(self.headers.get("Content-Length", 0))
        arrived = []
        for size in parts(length // 2 if fault == "cut" else length, self.bytes_at_once(fault)):
            arrived.append(self.rfile.read(size))
            if self.command == "PUT" or is_commit(self.command, path):
                with hub.lock:
                    hub.uploaded_bytes += len(arrived[-1])
        if len(body := b"".join(arrived)) < length:  # cut here, or the client has ended
            self.close_connection = True
            return
        reply = FAILURES[fault] if fault in FAILURES else hub.answer(self.request_of(body))
        if fault == "lost":
            self.close_connection = True
        else:
            self.reply(reply, fault)

    do_GET = do_HEAD = do_POST = do_PUT = serve

    def request_of(self, body: bytes) -> Request:
        url, headers = self.server.hub.url, self.headers
        storage = url.replace("127.0.0.1", "localhost")
        return Request(self.command, self.path, headers["Authorization"], headers["Range"], body, url, storage)

    def reply(self, reply: Reply, fault: str) -> None:
        body = b"" if self.command == "HEAD" else reply.body
        if fault == "cut":
            self.close_connection = True
            body = body[: len(body) // 2]
            if not body:
                return
        self.send_response(reply.status)
        for name, value in ({"Content-Length": str(len(reply.body))} | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        start = 0
        for size in parts(len(body), self.bytes_at_once(fault)):
            self.wfile.write(body[start : start + size])
            start += size

    def bytes_at_once(self, fault: str) -> int:
        return max(1, int(self.server.hub.bytes_per_second * TICK)) if fault == "slow" else 0


def parts(length: int, at_once: int) -> Iterator[int]:
    """Sizes of the parts that a body goes through in, one a tick; 0 at once is all of it without waiting."""
    for start in range(0, length, at_once or 2**20):
        if at_once:
            time.sleep(TICK)
        yield min(at_once or 2**20, length - start)
