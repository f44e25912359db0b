"""What a trial that runs says of itself, and what it remembers from one run to the next.

`trial.json` is there while the caches are served, and names the process. `ports.json` stays, so
that the same trial comes back at the same ports, and what points at them stays true.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach import __version__
from gfattach.core import files
from gfattach.core.daemon.daemon import Daemon, identity, process_of
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import GfattachError
from gfattach.core.process import ProcessId
from gfattach.trial.ports import LOOPBACK, PortError

#: Bytes on disk that the Bazel cache may take unless it is told otherwise.
DEFAULT_MAX_BYTES = 1024 * 1024 * 1024

#: Bytes on disk below which the directories of the Bazel cache leave it no space to speak of.
MIN_MAX_BYTES = 8 * 1024 * 1024

#: Hours without a build after which a trial ends by itself.
DEFAULT_IDLE_HOURS = 12.0

#: The trial's one instance of the Bazel cache.
INSTANCE = ""


class TrialState(Struct, frozen=True):
    """The process that serves, where, and what a client has to know.

    `public_key` is `name:base64`; `probe_path` and `signed_path` are store paths that the Nix cache
    has; `max_bytes` is what the Bazel cache may take on disk.
    """

    process: ProcessId
    cache_endpoint: Endpoint
    nix_endpoint: Endpoint
    public_key: str
    probe_path: str
    signed_path: str
    max_bytes: int = DEFAULT_MAX_BYTES
    version: str = __version__


def log_file(directory: Path) -> Path:
    """Where a trial in `directory` logs."""
    return TRIAL.log_file(directory)


def to_document(state: TrialState) -> dict[str, Any]:
    """`state` as JSON."""
    return {
        **identity(state),
        "bazel_port": state.cache_endpoint.port,
        "instance": INSTANCE,
        "nix_port": state.nix_endpoint.port,
        "public_key": state.public_key,
        "probe_path": state.probe_path,
        "signed_path": state.signed_path,
        "max_bytes": state.max_bytes,
    }


def from_document(document: Any) -> TrialState | None:
    """The state that `document` describes; None when it is not one."""
    try:
        return TrialState(
            process=process_of(document),
            cache_endpoint=Endpoint("grpc", LOOPBACK, int(document["bazel_port"])),
            nix_endpoint=Endpoint("http", LOOPBACK, int(document["nix_port"])),
            public_key=str(document["public_key"]),
            probe_path=str(document["probe_path"]),
            signed_path=str(document["signed_path"]),
            max_bytes=int(document["max_bytes"]),
            version=str(document["version"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def read_state(directory: Path) -> TrialState | None:
    """What is written there, whether or not it still runs; None for nothing, and for what is damaged."""
    return TRIAL.read_state(directory)


def write_state(directory: Path, state: TrialState) -> None:
    """Say that `state` runs, and remember its ports. Raises StorageError."""
    ports = {"bazel": state.cache_endpoint.port, "nix": state.nix_endpoint.port}
    if _read(_ports_file(directory)) != ports:
        files.write_json(_ports_file(directory), ports)
    TRIAL.write_state(directory, state)


def remembered_port(directory: Path, service: str) -> int | None:
    """The port that `service` ("bazel" or "nix") had the last time."""
    ports = _read(_ports_file(directory))
    port = ports.get(service) if isinstance(ports, dict) else None
    return port if isinstance(port, int) and 0 < port < 65536 else None


def _ports_file(directory: Path) -> Path:
    return directory / "ports.json"


def _read(path: Path) -> Any:
    content = files.read_bytes(path)
    try:
        return None if content is None else json.loads(content)
    except (ValueError, RecursionError):
        return None


def _errors() -> dict[str, type[GfattachError]]:
    return {"trial.port": PortError, "trial.port-in-use": PortError}


#: What Python runs as a trial.
MODULE = "gfattach.trial"

#: The daemon that a trial is.
TRIAL: Daemon[TrialState] = Daemon(
    "trial",
    "the embedded caches",
    "were",
    from_document,
    to_document,
    not_started=lambda fact, *hints: GfattachError(fact, *hints, code="trial.start"),
    stuck=lambda fact, *hints: GfattachError(fact, *hints, code="trial.stuck"),
    errors=_errors,
    module=MODULE,
)
