"""What an agent says of itself and its forwards: plain facts with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

#: "starting" until the upstream was asked for the first time.
State = Literal["starting", "up", "down"]


class ForwardStatus(Struct, frozen=True):
    """One forward. `since` is when the state began, in seconds on the wall clock.

    `address`, `port` and `socket_path` are None where nothing is listened on. `bytes_sent` went to the
    upstream, `bytes_received` came from it; `reconnects` are further attempts for one client;
    `rejected_peers` are connections of other users, which were closed, and `refused` those that came while
    the upstream was down, or were too many; `pods` are those that connections go to now, or, while there is
    none, the one that answers the questions about its health.
    """

    name: str
    state: State
    since: float
    last_error: str
    address: str | None
    port: int | None
    socket_path: Path | None
    open_connections: int
    total_connections: int
    bytes_sent: int
    bytes_received: int
    reconnects: int
    rejected_peers: int
    refused: int
    pods: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For the control socket, and for programs."""
        return {
            **asdict(self),
            "socket_path": None if self.socket_path is None else str(self.socket_path),
            "pods": list(self.pods),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ForwardStatus:
        """The reverse of `as_json`. Raises KeyError, TypeError and ValueError for what is none."""
        path = document["socket_path"]
        known = {name: document[name] for name in cls.__struct_fields__}
        return cls(**{**known, "socket_path": path and Path(path), "pods": tuple(document["pods"])})


class AgentStatus(Struct, frozen=True):
    """One agent. `rss_bytes` is None where the system does not say; `tasks` is what goes on at once in its
    event loop, and follows what is held; `lease_left_seconds` is what is left until it ends unless a client
    uses a forward. `tcp_peers_checked` says whether other users of this machine are kept out of the TCP
    ports: the system has to tell who connects.
    """

    pid: int
    version: str
    uptime_seconds: float
    rss_bytes: int | None
    tasks: int
    lease_left_seconds: float
    tcp_peers_checked: bool
    log_level: str
    forwards: tuple[ForwardStatus, ...]
    records: tuple[Path, ...]

    def forward(self, name: str) -> ForwardStatus | None:
        """The forward of that name."""
        return next((found for found in self.forwards if found.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """For the control socket, and for programs."""
        return {
            **asdict(self),
            "forwards": [forward.as_json() for forward in self.forwards],
            "records": [str(record) for record in self.records],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> AgentStatus:
        """The reverse of `as_json`. Raises KeyError, TypeError and ValueError for what is none."""
        known = {name: document[name] for name in cls.__struct_fields__}
        forwards = tuple(ForwardStatus.from_json(item) for item in document["forwards"])
        records = tuple(Path(text) for text in document["records"])
        return cls(**{**known, "forwards": forwards, "records": records})
