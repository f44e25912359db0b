"""Where agents live, and what one that runs says of itself.

`agent.json` in its directory is there while it serves, and names the process and its control socket.
`registrations.json` stays, so that an agent that is started again resumes.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach import __version__
from gfattach.cluster.connection import ClusterRef
from gfattach.core import files
from gfattach.core.daemon.daemon import Daemon, identity, process_of
from gfattach.core.errors import AgentError, StorageError
from gfattach.core.process import ProcessId
from gfattach.core.trust import ownership, secret

#: Bytes of the path of a unix socket that every system takes (macOS: 104 with the zero byte).
SOCKET_PATH_BYTES = 103

#: Places for sockets that are tried, where another user has made the first.
_PLACES = 8

#: Bytes that the name of a socket takes at most, with the separator.
_SOCKET_NAME_BYTES = 38


class AgentState(Struct, frozen=True):
    """The process that serves, and the path of its control socket."""

    process: ProcessId
    control: Path
    ref: ClusterRef | None
    version: str = __version__


def agent_directory(ref: ClusterRef | None) -> Path:
    """The directory of the agent that reaches this cluster as this user; None: of the one without a cluster.

    A reference without a context stands for whatever the kubeconfig has at the time: give one with the
    context's name, or a change of it would redirect what is attached. One with the cluster's identity keeps
    ports and addresses apart from those of a cluster that the same file led to before.
    """
    from gfattach.core import paths

    return paths.state_directory() / "agents" / _key(ref)


def _key(ref: ClusterRef | None) -> str:
    if ref is None:
        identity = "direct"
    else:
        from gfattach.cluster.kubeconfig.resolve import find_files

        found = [str(path.absolute()) for path in find_files(ref)]
        identity = json.dumps([found, ref.context, *([ref.identity] if ref.identity else [])])
    return _digest(identity.encode())


def _digest(identity: bytes) -> str:
    import hashlib  # most of what is asked of a state has no use for it

    return hashlib.sha256(identity).hexdigest()[:8]


def socket_directory(directory: Path) -> Path:
    """Where the sockets of the agent in `directory` are: there, or in a place with a shorter path, which
    another user can neither foresee nor keep from being used.

    Raises StorageError.
    """
    if len(os.fsencode(directory)) + _SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES:
        return directory
    from gfattach.core import paths

    runtime = paths.runtime_directory(os.environ)
    for attempt in range(_PLACES):
        purpose = f"sockets {attempt} {os.fspath(directory)}"
        name = f"gfattach-{os.geteuid()}-{secret.derived(paths.state_directory(), purpose).hex()[:8]}"
        fits = runtime is not None and (
            len(os.fsencode(runtime)) + len(name) + 1 + _SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES
        )
        place = (runtime if runtime is not None and fits else Path("/tmp")) / name
        if not ownership.private(place):
            return place
    raise StorageError(
        f"there is no directory for sockets in {place.parent}: every one that was tried is another user's",
        "give gfattach a directory of its own with a short path: XDG_RUNTIME_DIR=DIRECTORY gfattach up",
    )


def make_socket_directory(directory: Path) -> Path:
    """The place of `socket_directory`, made, 0700. Raises StorageError."""
    place = socket_directory(directory)
    if place == directory:
        return files.make_private_directory(directory)
    try:
        place.mkdir(mode=files.PRIVATE_DIRECTORY)
        place.chmod(files.PRIVATE_DIRECTORY)
    except FileExistsError:
        pass  # it is looked at below: in a directory for everybody anyone may have made it
    except OSError as error:
        raise files.storage_error("make the directory", place, error) from error
    if reason := ownership.private(place):
        raise StorageError(f"{place} {reason}", "run it again, and another place is used")
    return place


def clear_sockets(directory: Path, place: Path) -> None:
    """Remove the sockets in `place` of an agent in `directory` that has ended, and the place made for them.

    It is where they were made: by now the environment, or what is there of it, may say another one.
    """
    for path in place.glob("*.sock"):
        files.remove(path)
    if place != directory:
        with contextlib.suppress(OSError):
            place.rmdir()


def log_file(directory: Path) -> Path:
    """Where the agent of `directory` logs; the older part is beside it, with `.1` at its end."""
    return AGENT.log_file(directory)


def read_state(directory: Path) -> AgentState | None:
    """What is written there, whether or not it still runs; None for nothing, and for what is damaged.

    Raises StorageError.
    """
    return AGENT.read_state(directory)


def to_document(state: AgentState) -> dict[str, Any]:
    """`state` as JSON."""
    ref = None if state.ref is None else state.ref.as_json()
    return {**identity(state), "control": str(state.control), "ref": ref}


def from_document(document: Any) -> AgentState | None:
    """The state that `document` describes; None when it is not one."""
    try:
        ref = document["ref"]
        return AgentState(
            process_of(document),
            Path(document["control"]),
            None if ref is None else ClusterRef.from_json(ref),
            str(document["version"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _clear(directory: Path, state: AgentState | None) -> None:
    clear_sockets(directory, socket_directory(directory) if state is None else state.control.parent)


#: The daemon that an agent is.
AGENT: Daemon[AgentState] = Daemon(
    "agent",
    "the agent",
    "was",
    from_document,
    to_document,
    not_started=lambda fact, *hints: AgentError(fact, *hints, code="agent.start"),
    stuck=lambda fact, *hints: AgentError(fact, *hints, code="agent.stuck"),
    error=AgentError,
    clear=_clear,
)
