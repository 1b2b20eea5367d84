"""A real browser to open pages in, press keys and click."""

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
PATIENCE = 60.0
"""Seconds to wait for the browser before a test fails."""


class Browser:
    """A headless Chromium, spoken to by its DevTools protocol: JSON messages, each ended by NUL, through two pipes.

    The browser reads commands from file descriptor 3 and writes answers and events to 4.
    """

    def __init__(self, program: str, folder: Path) -> None:
        import fcntl  # not on Windows, where the other tests run all the same

        self.downloads = folder / "downloads"
        self.events: list[dict[str, Any]] = []
        self._number = 0
        self._received = bytearray()
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]  # clear of 3 and 4
        options = ["--headless", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
        options.append(f"--user-data-dir={folder / 'profile'}")
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.append("--no-sandbox")  # a browser refuses to sandbox itself as root, as in containers
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                LAUNCH,
                *map(str, theirs),
                program,
                *options,
                f"--user-data-dir={folder / 'profile'}",
            ],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (theirs_in, theirs_out, *theirs):
            os.close(end)
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its answer; events that come in between are kept in `events`."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        text = json.dumps(command | ({"sessionId": session} if session else {})) + "\0"
        os.write(self._to, text.encode())
        while (message := self._message()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, (method, message)
        return message["result"]

    def wait_for(self, method: str, **expected: Any) -> dict[str, Any]:
        """The next event of this kind with these parameters; it may have come already. Takes it out of `events`."""
        seen = 0
        while True:
            for place in range(seen, len(self.events)):
                event = self.events[place]
                if event["method"] == method and expected.items() <= event["params"].items():
                    return self.events.pop(place)["params"]
            seen = len(self.events)
            self.events.append(self._message())

    def open(self, page: Path, width: int = 1280, height: int = 800, *, first: str = "") -> "Tab":
        """Open a page in a new tab of this size; the script `first` runs before the page's own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        tab = Tab(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=first)
        tab.go(page)
        return tab

    def close(self) -> None:
        """End the browser and all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def _message(self) -> dict[str, Any]:
        while (end := self._received.find(b"\0")) < 0:
            ready, _, _ = select.select([self._from], [], [], PATIENCE)
            chunk = os.read(self._from, 1 << 16) if ready else b""
            assert chunk, "the browser does not answer" if not ready else "the browser has ended"
            self._received += chunk
        message = json.loads(self._received[:end])
        del self._received[: end + 1]
        return message


@dataclass
class Tab:
    """One page in the browser."""

    browser: Browser
    session: str

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def go(self, page: Path) -> None:
        """Load a page and wait until it has loaded."""
        self.call("Page.navigate", url=page.as_uri())
        self.browser.wait_for("Page.loadEventFired")

    def reload(self) -> None:
        self.call("Page.reload")
        self.browser.wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, by way of JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """An element's text as a reader sees it."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, *keys: str, modifiers: int = 0) -> None:
        """Press and release keys by their DOM names: s, ArrowRight, Tab, Enter."""
        for key in keys:
            typed = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            code = {"Enter": 13, "Tab": 9}.get(key, ord(key.upper()) if len(key) == 1 else 0)
            pressed = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self.call("Input.dispatchKeyEvent", type="keyDown", text="" if modifiers else typed, **pressed)
            self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def click(self, selector: str) -> None:
        """A click of the mouse into the middle of an element, scrolled into view."""
        place = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center', behavior: 'instant'}); const box = found.getBoundingClientRect();"
            "return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def downloaded(self) -> Path:
        """The file of the next download that completes."""
        name = self.browser.wait_for("Browser.downloadWillBegin")
        self.browser.wait_for("Browser.downloadProgress", guid=name["guid"], state="completed")
        return self.browser.downloads / name["suggestedFilename"]

    def complaints(self) -> list[str]:
        """Console messages, uncaught errors and log entries (a refused load among them) since the tab was opened."""
        self.evaluate("0")  # its events have come once it has answered
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self._events() if event["method"] in kinds]

    def requests(self) -> list[str]:
        """Addresses that were asked for, without the page itself and what it holds as data or blob."""
        self.evaluate("0")
        sent = [event["params"] for event in self._events() if event["method"] == "Network.requestWillBeSent"]
        asked = [request["request"]["url"] for request in sent if request["type"] != "Document"]
        return [address for address in asked if not address.startswith(("data:", "blob:"))]

    def screenshot(self, path: Path) -> Path:
        """The visible part of the page as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in self.browser.events if event.get("sessionId") == self.session]
