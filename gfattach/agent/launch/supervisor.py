"""Start, find and end an agent's process: what the command line knows of it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from gfattach import __version__
from gfattach.agent.launch.environment import at_once, later
from gfattach.agent.model.state import AGENT, AgentState
from gfattach.cluster.connection import ClusterRef
from gfattach.core import files
from gfattach.core.daemon.daemon import ANSWER_SECONDS, TURN_SECONDS
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError

if TYPE_CHECKING:  # an agent is started before what speaks to it is loaded
    from gfattach.agent.launch.client import AgentClient

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

    def keep(state: AgentState) -> bool:
        if (state.version, state.ref) != (__version__, ref):
            return False
        try:
            _client(state).set_lease(lease_seconds, deadline.within(ANSWER_SECONDS))
        except AgentError:
            return False
        return True

    def launch() -> AgentState:
        return _launch(directory, ref, lease_seconds, withheld, deadline)

    return _client(AGENT.ensure(directory, keep, launch, deadline))


def _client(state: AgentState) -> AgentClient:
    from gfattach.agent.launch.client import AgentClient

    return AgentClient(state.control)


def find(directory: Path) -> AgentClient | None:
    """The agent of `directory` that runs and answers, if there is one. Raises StorageError."""
    state = AGENT.running(directory.absolute())
    if state is None:
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
    return AGENT.stop(directory.absolute())


def discard(directory: Path, record: Path | None = None) -> bool:
    """Remove all that an agent which has ended keeps in `directory`, unless others are registered there.

    `record` is one whose registration does not count any more. Whether it is removed; an agent that
    runs is left alone. Raises StorageError.
    """
    from gfattach.agent.model.registry import Registry

    directory = directory.absolute()
    if not directory.is_dir():
        return True
    with AGENT.turn(directory, Deadline.after(TURN_SECONDS)):
        registry = Registry(directory)
        left = {item.record for item in registry.registrations} - {record, *registry.missing_records()}
        if left or AGENT.running(directory) is not None:
            return False
        AGENT.sweep(directory)
        files.remove_tree(directory)
    with contextlib.suppress(OSError):  # there are others
        directory.parent.rmdir()
    return True


def _launch(
    directory: Path, ref: ClusterRef | None, lease: float, withheld: Container[str], deadline: Deadline
) -> AgentState:
    from gfattach.core.paths import state_directory

    reference = json.dumps(None if ref is None else ref.as_json())
    # -P: the working directory is no place to import from.
    args = [
        sys.executable,
        "-P",
        "-c",
        _PROGRAM,
        str(directory),
        str(state_directory()),
        str(lease),
        reference,
    ]

    def meanwhile() -> bytes:
        import gfattach.agent.launch.client  # noqa: F401, loaded while the agent's process loads what it needs

        return json.dumps(later(ref, withheld)).encode()

    return AGENT.launch(directory, args, at_once(withheld), deadline, meanwhile)
