"""Start, find and end an agent's process: what the command line knows of it.

The process outlives the command that started it. It is found again by its state file, and believed
only if that very process is alive and answers.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from gfattach import __version__
from gfattach.agent.launch.environment import at_once, later
from gfattach.agent.model.state import (
    AgentState,
    clear_sockets,
    log_file,
    read_state,
    socket_directory,
    state_file,
)
from gfattach.cluster.connection import ClusterRef
from gfattach.core import files
from gfattach.core.background import begin, stuck
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError

if TYPE_CHECKING:  # an agent is started before what speaks to it is loaded
    from gfattach.agent.launch.client import AgentClient

#: Seconds that a process which is alive gets to answer.
ANSWER_SECONDS = 2.0

#: Seconds without any use by a client after which an agent ends, unless it is told otherwise.
DEFAULT_LEASE_SECONDS = 12 * 3600.0

#: What `-m gfattach.agent` would do, without the modules that `-m` itself loads.
_PROGRAM = "import sys; from gfattach.agent.__main__ import main; sys.exit(main(sys.argv[1:]))"


def ensure(
    directory: Path,
    ref: ClusterRef | None,
    *,
    lease_seconds: float = DEFAULT_LEASE_SECONDS,
    deadline: Deadline,
    withheld: Container[str] = frozenset(),
) -> AgentClient:
    """Have an agent of this version serve `directory` for the cluster `ref`, and return its client.

    One that runs is kept, with the new lease; one that is of another version, for another cluster, or
    does not answer is replaced. `withheld` names variables that it must not have.

    Raises StorageError, ClusterError for a kubeconfig that cannot be read, AgentError (`agent.start`,
    `agent.stuck`) when there is none by `deadline`.
    """
    directory = directory.absolute()
    while True:
        files.make_private_directory(directory)
        with files.locked(directory / "start.lock", deadline.remaining()):
            if (directory / "start.lock").exists():  # else it was discarded while this waited for it
                return _ensure(directory, ref, lease_seconds, withheld, deadline)


def _ensure(
    directory: Path, ref: ClusterRef | None, lease: float, withheld: Container[str], deadline: Deadline
) -> AgentClient:
    state = read_state(directory)
    if state is not None and state.process.alive():
        client = _client(state)
        if (state.version, state.ref) == (__version__, ref):
            with contextlib.suppress(AgentError):
                client.set_lease(lease, deadline.within(ANSWER_SECONDS))
                return client
        _end(directory, state)
    _launch(directory, ref, lease, withheld, deadline)
    state = read_state(directory)
    if state is None:
        raise AgentError("the agent ended at once", f"see the log: {log_file(directory)}", code="agent.start")
    return _client(state)


def _client(state: AgentState) -> AgentClient:
    from gfattach.agent.launch.client import AgentClient

    return AgentClient(state.control)


def find(directory: Path) -> AgentClient | None:
    """The agent of `directory` that runs and answers, if there is one. Raises StorageError."""
    state = read_state(directory.absolute())
    if state is None or not state.process.alive():
        return None
    client = _client(state)
    try:
        client.status(Deadline.after(ANSWER_SECONDS))
    except AgentError:
        return None
    return client


def stop(directory: Path) -> bool:
    """End the agent of `directory`; whether one ran. Its ports and registrations stay.

    Raises StorageError, and AgentError (`agent.stuck`) for a process that cannot be ended.
    """
    directory = directory.absolute()
    if not directory.is_dir():
        return False
    with files.locked(directory / "start.lock"):
        state = read_state(directory)
        if state is not None and state.process.alive():
            _end(directory, state)
            return True
        _clear(directory)
        return False


def discard(directory: Path, record: Path | None = None) -> bool:
    """Remove all that an agent which has ended keeps in `directory`, unless others are registered there.

    `record` is one whose registration does not count any more. Whether it is removed; an agent that
    runs is left alone. Raises StorageError.
    """
    from gfattach.agent.model.registry import Registry

    directory = directory.absolute()
    if not directory.is_dir():
        return True
    with files.locked(directory / "start.lock"):
        state, registry = read_state(directory), Registry(directory)
        left = {item.record for item in registry.registrations} - {record, *registry.missing_records()}
        if left or (state is not None and state.process.alive()):
            return False
        _clear(directory)
        files.remove_tree(directory)
    with contextlib.suppress(OSError):  # there are others
        directory.parent.rmdir()
    return True


def _end(directory: Path, state: AgentState) -> None:
    if not state.process.end():
        raise AgentError(*stuck(state.process, "the agent's"), code="agent.stuck")
    _clear(directory)


def _clear(directory: Path) -> None:
    """Remove what an agent that was killed has left."""
    state = read_state(directory)
    files.remove(state_file(directory))
    clear_sockets(directory, socket_directory(directory) if state is None else state.control.parent)


def _launch(
    directory: Path, ref: ClusterRef | None, lease: float, withheld: Container[str], deadline: Deadline
) -> None:
    reference = json.dumps(None if ref is None else ref.as_json())
    # -P: the working directory is no place to import from.
    args = [sys.executable, "-P", "-c", _PROGRAM, str(directory), str(lease), reference]
    log = log_file(directory)

    def meanwhile() -> bytes:
        import gfattach.agent.launch.client  # noqa: F401, loaded while the agent's process loads what it needs

        return json.dumps(later(ref, withheld)).encode()

    beginning = begin(args, at_once(withheld), log, deadline, meanwhile)
    if beginning.ready is not None:
        return
    if beginning.error is not None:
        from gfattach.agent.launch.client import typed

        raise typed(beginning.error)
    raise AgentError(*beginning.failure("the agent", "was", log), code="agent.start")
