"""What tests of the agent share: a place for one, real caches behind it, upstreams that carry bytes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gfattach.agent.launch import supervisor
from gfattach.agent.launch.client import AgentClient
from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, GuardedFile, Health, Registration
from gfattach.agent.model.status import AgentStatus, ForwardStatus
from gfattach.core.deadline import Deadline
from gfattach.trial.nix_server import NixCacheServer

SECONDS = 20.0

#: Another user's number, and what runs a program as that user.
STRANGER = 65534


def wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> float:
    """Wait until `condition` holds; the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.005)
    return time.monotonic() - began


@dataclass
class Desk:
    """A directory for one agent, and a record that wants forwards of it."""

    root: Path
    directory: Path = field(init=False)
    record: Path = field(init=False)

    def __post_init__(self) -> None:
        self.directory = self.root / "state" / "agents" / "0badcafe"
        self.record = self.root / "attachment.json"
        self.record.write_text("{}")

    def ensure(self, **options: Any) -> AgentClient:
        return supervisor.ensure(self.directory, None, deadline=Deadline.after(SECONDS), **options)

    def register(
        self, *forwards: ForwardSpec, guarded: tuple[GuardedFile, ...] = ()
    ) -> tuple[ForwardStatus, ...]:
        wanted = Registration(self.record, forwards, guarded)
        return self.ensure().register(wanted, Deadline.after(SECONDS))

    def status(self) -> AgentStatus:
        client = supervisor.find(self.directory)
        assert client is not None, "no agent answers"
        return client.status(Deadline.after(SECONDS))

    def forward(self, name: str = "nix") -> ForwardStatus:
        found = self.status().forward(name)
        assert found is not None
        return found

    def wait(self, state: str, name: str = "nix", seconds: float = SECONDS) -> float:
        return wait_for(lambda: self.forward(name).state == state, seconds)

    def processes(self) -> list[int]:
        """Processes that have this directory in their arguments."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    line, status = (entry / "cmdline").read_bytes(), (entry / "stat").read_bytes()
                    if str(self.directory).encode() in line and b") Z " not in status:
                        found.append(int(entry.name))
        return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A place for one agent, which is ended after the test. Its path is short, as a socket's has to be."""
    with tempfile.TemporaryDirectory(prefix="gfattach-test-") as root:
        made = Desk(Path(root))
        yield made
        supervisor.stop(made.directory)
        wait_for(lambda: made.processes() == [])


@pytest.fixture
def nix(tmp_path: Path) -> Iterator[NixCacheServer]:
    """A real binary cache, in this process: `stop` and `start` it."""
    server = NixCacheServer(tmp_path / "nix-cache")
    server.start()
    yield server
    server.stop()


def nix_forward(port: int, name: str = "nix", **options: Any) -> ForwardSpec:
    """A forward to the binary cache at `port`."""
    return ForwardSpec(name, DirectUpstream("127.0.0.1", port), Health("nix"), **options)


def connect(forward: ForwardStatus, route: str) -> socket.socket:
    """A connection to a forward by "tcp" or "unix"."""
    if route == "tcp":
        assert forward.port is not None
        return socket.create_connection((forward.address, forward.port), SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(SECONDS)
    connection.connect(str(forward.socket_path))
    return connection


def get(forward: ForwardStatus, route: str, path: str = "/nix-cache-info") -> bytes:
    """The answer to one GET, to its end."""
    with connect(forward, route) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: cache\r\n\r\n".encode())
        return drain(connection)


def drain(connection: socket.socket) -> bytes:
    """Everything up to an orderly end; raises OSError for any other."""
    said = bytearray()
    while more := connection.recv(1 << 16):
        said += more
    return bytes(said)


class Carrier:
    """An upstream whose health is that of an HTTP cache, and that gives every other request to `serve`."""

    def __init__(self, serve: Callable[[socket.socket, bytes], None], port: int = 0) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def spec(self, name: str = "carrier") -> ForwardSpec:
        return ForwardSpec(name, DirectUpstream("127.0.0.1", self.port), Health("http", "/status"))

    def close(self) -> None:
        """End it, with every connection."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.add(connection)
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                if data.startswith(b"GET /status "):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                else:
                    self._serve(connection, data)
                    break
        self._open.discard(connection)
        with contextlib.suppress(OSError):
            connection.close()


def as_another_user(*args: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[bytes]:
    """Run a program as another user; skips where that cannot be done."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv (apt install util-linux) to be another user")
    command = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", *args]
    return subprocess.run(command, capture_output=True, timeout=seconds, cwd="/")
