"""What an agent is asked to hold: forwards, how each upstream is reached and asked for its health.

These are plain facts with a JSON form, written by `up` and read by the agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

#: How the health of an upstream is asked for: GetCapabilities over gRPC, `GET <path>` over HTTP
#: (any 2xx or 404 is an answer of a cache), `nix-cache-info` of a substituter.
HealthKind = Literal["grpc", "http", "nix"]


class PodUpstream(Struct, frozen=True):
    """A port of a Service, reached through a ready pod. `port` is the Service port's name or number."""

    namespace: str
    service: str
    port: str


class DirectUpstream(Struct, frozen=True):
    """A host and port that this machine reaches by itself (an ingress, a VPN)."""

    host: str
    port: int


class Health(Struct, frozen=True):
    """How an upstream is asked whether it is well.

    `path` is what HTTP asks for, from the root; `server_name` and `ca_file` are for a TLS endpoint
    (`tls`): the name that its certificate has to be for, and who signed it (None: the platform's
    authorities). `host` is the Host header or :authority, where it is not the upstream's own.
    """

    kind: HealthKind
    path: str = ""
    tls: bool = False
    server_name: str = ""
    ca_file: Path | None = None
    host: str = ""


class ForwardSpec(Struct, frozen=True):
    """One forward. `name` is unique in its agent, and the key of the remembered port.

    `listen` False asks for no listener: the upstream is only watched (a site that is dialled
    directly). `address` is the loopback address of the TCP listener. `ends_tls` has the agent speak TLS to
    the upstream, verified as `health` says, and take clients that speak in plaintext.
    """

    name: str
    upstream: PodUpstream | DirectUpstream
    health: Health
    listen: bool = True
    address: str = "127.0.0.1"
    ends_tls: bool = False

    def as_json(self) -> dict[str, Any]:
        """For a record on disk and for the control socket."""
        upstream = self.upstream
        route: dict[str, Any]
        if isinstance(upstream, PodUpstream):
            route = {"namespace": upstream.namespace, "service": upstream.service, "port": upstream.port}
        else:
            route = {"host": upstream.host, "port": upstream.port}
        health = self.health
        return {
            "name": self.name,
            "upstream": route,
            "health": {
                "kind": health.kind,
                "path": health.path,
                "tls": health.tls,
                "server_name": health.server_name,
                "ca_file": None if health.ca_file is None else str(health.ca_file),
                "host": health.host,
            },
            "listen": self.listen,
            "address": self.address,
            "ends_tls": self.ends_tls,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ForwardSpec:
        """The reverse of `as_json`. Raises KeyError, TypeError and ValueError for what is none."""
        route, health = document["upstream"], document["health"]
        upstream: PodUpstream | DirectUpstream
        if "service" in route:
            upstream = PodUpstream(str(route["namespace"]), str(route["service"]), str(route["port"]))
        else:
            upstream = DirectUpstream(str(route["host"]), int(route["port"]))
        if health["kind"] not in ("grpc", "http", "nix"):
            raise ValueError(f"no kind of health check: {health['kind']!r}")
        ca_file = health["ca_file"]
        return cls(
            str(document["name"]),
            upstream,
            Health(
                health["kind"],
                str(health["path"]),
                bool(health["tls"]),
                str(health["server_name"]),
                None if ca_file is None else Path(ca_file),
                str(health["host"]),
            ),
            bool(document["listen"]),
            str(document["address"]),
            bool(document.get("ends_tls", False)),
        )


class GuardedFile(Struct, frozen=True):
    """A fragment that is emptied while the forward `forward` is down, and restored when it is back.

    `full` is what it holds while all is well, `empty` what it holds otherwise. A file that holds
    neither was edited, or is gone, and is left alone.
    """

    path: Path
    forward: str
    full: str
    empty: str

    def as_json(self) -> dict[str, Any]:
        """For a record on disk and for the control socket."""
        return {"path": str(self.path), "forward": self.forward, "full": self.full, "empty": self.empty}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> GuardedFile:
        """The reverse of `as_json`. Raises KeyError for what is none."""
        return cls(
            Path(document["path"]), str(document["forward"]), str(document["full"]), str(document["empty"])
        )


class FollowedNetrc(Struct, frozen=True):
    """The netrc of an attachment at `path`: one line of its own, and behind it what the user's, `source`,
    holds.

    Some programs write theirs anew every hour, so that what was copied is soon out of date.
    """

    path: Path
    source: Path

    def as_json(self) -> dict[str, Any]:
        """For a record on disk and for the control socket."""
        return {"path": str(self.path), "source": str(self.source)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> FollowedNetrc:
        """The reverse of `as_json`. Raises KeyError for what is none."""
        return cls(Path(document["path"]), Path(document["source"]))


class Registration(Struct, frozen=True):
    """What one attachment wants of the agent. It holds as long as the file `record` is there, and the
    directory `home`, which goes with a removed workspace.
    """

    record: Path
    forwards: tuple[ForwardSpec, ...]
    guarded: tuple[GuardedFile, ...] = ()
    home: Path | None = None
    netrcs: tuple[FollowedNetrc, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it leaves the agent with nothing to do."""
        return not self.forwards and not self.netrcs

    def as_json(self) -> dict[str, Any]:
        """For a record on disk and for the control socket."""
        return {
            "record": str(self.record),
            "home": None if self.home is None else str(self.home),
            "forwards": [forward.as_json() for forward in self.forwards],
            "guarded": [file.as_json() for file in self.guarded],
            "netrcs": [file.as_json() for file in self.netrcs],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Registration:
        """The reverse of `as_json`. Raises KeyError, TypeError and ValueError for what is none."""
        record, home = Path(document["record"]), document.get("home")
        return cls(
            record,
            tuple(ForwardSpec.from_json(item) for item in document["forwards"]),
            tuple(GuardedFile.from_json(item) for item in document["guarded"]),
            None if home is None else Path(home),
            tuple(FollowedNetrc.from_json(item) for item in document.get("netrcs", ())),
        )
