"""The ports of forwards: the last one, or the one that follows from a name, so that what points at it holds.

`ports.json` in the agent's directory: by the forward's name, the port and whether anybody ever
connected to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core import files
from gfattach.core.errors import StorageError
from gfattach.core.trust import secret

#: Forwards whose ports are remembered; the oldest are forgotten.
_KEPT = 256

#: Where ports that are not remembered are looked for first: below what Linux (32768) and macOS (49152) hand
#: out to outgoing connections, so that nothing takes one in passing.
_FIRST, _COUNT = 20000, 12000

#: How many of them are tried before any port will do.
CHOICES = 4


class RememberedPort(Struct, frozen=True):
    """`used` says that a client has connected to it at some time."""

    port: int
    used: bool


class Ports:
    """What is remembered in one agent's directory; `state` is the user's state directory."""

    def __init__(self, directory: Path, state: Path) -> None:
        self.agent = directory.name
        self.state = state
        self._path = directory / "ports.json"
        self._ports: dict[str, RememberedPort] = _read(self._path)
        self._together = self._changed = False

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is remembered in here is written at the end, in one go. Raises StorageError there."""
        self._together = True
        try:
            yield
        finally:
            self._together = False
            if self._changed:
                self._write()

    def of(self, name: str) -> RememberedPort | None:
        """What is remembered for the forward `name`."""
        return self._ports.get(name)

    def remember(self, name: str, port: int, *, used: bool = False) -> None:
        """Remember `port` for the forward `name`; a port that was used stays so. Raises StorageError."""
        before = self._ports.get(name)
        now = RememberedPort(port, used or (before is not None and before.used and before.port == port))
        if now == before:
            return
        self._ports.pop(name, None)
        self._ports[name] = now
        self._write()

    def release(self, name: str) -> None:
        """Nothing points at the forward `name` any more: another port is as good. Raises StorageError."""
        before = self._ports.get(name)
        if before is not None and before.used:
            self._ports[name] = RememberedPort(before.port, used=False)
            self._write()

    def _write(self) -> None:
        self._changed = self._together
        if self._together:
            return
        while len(self._ports) > _KEPT:
            self._ports.pop(next(iter(self._ports)))
        files.write_json(
            self._path, {name: {"port": kept.port, "used": kept.used} for name, kept in self._ports.items()}
        )


def choices(name: str, ports: Ports) -> tuple[int, ...]:
    """The ports to try first for the forward `name` of the agent of `ports`. Raises StorageError.

    An agent is a cluster's, and forwards of two clusters are not to share an address: Nix keeps by the
    address what a cache has said.

    They follow from the name and from a secret of this user's, so that a forward which was released and is
    wanted again is where an environment file says it is, though nothing was kept of it; and so that no
    other user can listen there first.
    """
    digest = secret.derived(ports.state, f"port {ports.agent} {name}")
    start = int.from_bytes(digest[:4], "big")
    return tuple(_FIRST + (start + step) % _COUNT for step in range(CHOICES))


def _read(path: Path) -> dict[str, RememberedPort]:
    try:
        document = files.read_json(path)
    except StorageError:
        return {}  # damaged: other ports are found
    if not isinstance(document, Mapping):
        return {}
    return {str(name): port for name, item in document.items() if (port := _port(item)) is not None}


def _port(item: Any) -> RememberedPort | None:
    try:
        port = RememberedPort(int(item["port"]), bool(item["used"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return port if 0 < port.port < 65536 else None
