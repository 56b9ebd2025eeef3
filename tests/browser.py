"""A headless Chromium for tests, driven over W3C WebDriver (https://www.w3.org/TR/webdriver2) with the standard library alone."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

NAMES = (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
PROGRAMS = tuple(next(filter(None, map(shutil.which, names)), None) for names in NAMES)
needs_browser = pytest.mark.skipif(None in PROGRAMS, reason="no Chromium with its chromedriver on the PATH")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how the protocol names a reference to an element
KEYS = {"ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Escape": "\ue00c", "Enter": "\ue007", "Space": " "}
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """
    One window with a profile of its own. What it downloads lands in `downloads`.

    Args:
        folder (`Path`): For the profile and the downloads; made if missing.
        size (`tuple[int, int]`, *optional*, defaults to `(1280, 720)`): Of the page in pixels.
    """

    def __init__(self, folder: Path, size: tuple[int, int] = (1280, 720)):
        self.folder, self.downloads, self.size = folder, folder / "downloads", size

    def __enter__(self) -> "Browser":
        self.downloads.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [PROGRAMS[1], f"--port={port}"]
        self._driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._session = f"http://127.0.0.1:{port}"
        try:
            self.wait_until(self._is_ready, "chromedriver answers")
            self._session += "/session/" + self._call("POST", "/session", self._capabilities())["sessionId"]
            self.resize(*self.size)
        except BaseException:
            self._driver.terminate()
            raise
        return self

    def __exit__(self, *exception) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(timeout=10)

    def _capabilities(self) -> dict:
        chrome = {
            "binary": PROGRAMS[0],
            "args": [*FLAGS, f"--user-data-dir={self.folder / 'profile'}"],
            "prefs": {"download.default_directory": str(self.downloads.resolve())},
        }
        logs = {"browser": "ALL", "performance": "ALL"}
        return {
            "capabilities": {
                "alwaysMatch": {
                    "goog:chromeOptions": chrome,
                    "goog:loggingPrefs": logs,
                    "unhandledPromptBehavior": "ignore",
                }
            }
        }

    def _is_ready(self) -> bool:
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method: str, path: str, content: dict | None = None):
        body = json.dumps(content or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._session + path, data=body, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {json.load(error)['value']['message'][:300]}") from error

    def open(self, page: Path) -> None:
        """Open a file and wait until it is loaded."""
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def reload(self) -> None:
        """As a person does, with all that the page keeps."""
        self._call("POST", "/refresh")

    def run(self, script: str, *arguments):
        """What the body of a function returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def _find(self, selector: str) -> str:
        return self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector: str) -> None:
        """With the mouse; fails where something covers the element."""
        self._call("POST", f"/element/{self._find(selector)}/click")

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file field."""
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": str(path.resolve())})

    def press(self, *keys: str) -> None:
        """Real key events, one after the other, wherever the focus is: letters, or names of `KEYS`."""
        pressed = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": pressed}]})

    def type(self, text: str) -> None:
        """Letter by letter, wherever the focus is."""
        self.press(*text)

    def answer(self, accept: bool) -> str:
        """Wait for the dialogue of `confirm`, and close it; gives its text."""
        self.wait_until(self._asks, "a dialogue asks")
        text = self._call("GET", "/alert/text")
        self._call("POST", "/alert/accept" if accept else "/alert/dismiss")
        return text

    def _asks(self) -> bool:
        try:
            return bool(self._call("GET", "/alert/text"))
        except AssertionError:
            return False

    def command(self, name: str, **parameters) -> dict:
        """Of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def resize(self, width: int, height: int) -> None:
        """Make the page so large, in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)

    def colours(self, scheme: str) -> None:
        """`"light"` or `"dark"`, as the person's system prefers."""
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def errors(self) -> list[str]:
        """What the console said since the last call, warnings too."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The URLs that were asked for since the last call."""
        events = [json.loads(e["message"])["message"] for e in self._call("POST", "/se/log", {"type": "performance"})]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def wait_until(self, holds: Callable[[], object], what: str, seconds: float = 20) -> None:
        """Until a condition holds; fails with its name when it never does."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.02)
