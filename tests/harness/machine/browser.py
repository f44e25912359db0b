"""A real browser without a window, driven over its own protocol (DevTools, one websocket).

Debian's `chromium-headless-shell` is enough: it is asked what a page looks like once it is laid out.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

#: The programs that can do it, the smallest first.
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")

INSTALL = "apt-get install chromium-headless-shell"

#: Seconds that any answer may take.
SECONDS = 120.0


def program() -> str | None:
    """The browser at hand."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Page:
    """One page of the browser; `requests` are the addresses that it has asked for."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, file: Path, *, width: int, height: int = 800, scheme: str = "light") -> None:
        """Load the file in a window of that size in CSS pixels, for somebody who likes that colour scheme."""
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=feature)
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self._call("Page.navigate", url=file.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, script: str) -> Any:
        """What an expression of JavaScript comes to, as JSON."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=SECONDS))
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.errors.append(json.dumps(message["params"]))
        return message


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with one page, ended with the context."""
    found = program()
    assert found is not None, INSTALL
    with tempfile.TemporaryDirectory(prefix="gfattach-browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                found,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
            ],
            env={"PATH": os.environ["PATH"], "HOME": profile, "TMPDIR": profile},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if listening := re.search(r"DevTools listening on (ws://\S+)", line):
                    break
            else:
                raise AssertionError(f"the browser has ended: {said}")
            with connect(listening.group(1), max_size=None, open_timeout=SECONDS) as connection:
                yield Page(connection)
        finally:
            # A script starts it, and it starts others: what is left of the group is ended with it.
            process.terminate()
            process.wait()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stderr.close()
