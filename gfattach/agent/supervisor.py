"""Start, find and end an agent's process: what the command line knows of it.

The process outlives the command that started it. It is found again by its state file, and believed
only if that very process is alive and answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Container
from pathlib import Path
from typing import Any

from gfattach import __version__, files
from gfattach.agent.client import AgentClient, typed
from gfattach.agent.environment import environment
from gfattach.agent.registry import Registry
from gfattach.agent.state import AgentState, clear_sockets, read_state, state_file
from gfattach.cluster.connection import ClusterRef
from gfattach.deadline import Deadline
from gfattach.errors import AgentError

#: Seconds that a process which is alive gets to answer.
ANSWER_SECONDS = 2.0

#: Seconds without any use by a client after which an agent ends, unless it is told otherwise.
DEFAULT_LEASE_SECONDS = 12 * 3600.0

_LOG_LINES = 5
_LOG_TAIL_BYTES = 16 * 1024


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
        client = AgentClient(state.control)
        if (state.version, state.ref) == (__version__, ref):
            with contextlib.suppress(AgentError):
                client.set_lease(lease, deadline.within(ANSWER_SECONDS))
                return client
        _end(directory, state)
    _launch(directory, ref, lease, withheld, deadline)
    state = read_state(directory)
    if state is None:
        raise AgentError(
            "the agent ended at once",
            *_last_lines(directory, 0),
            f"see the log: {_log(directory)}",
            code="agent.start",
        )
    return AgentClient(state.control)


def find(directory: Path) -> AgentClient | None:
    """The agent of `directory` that runs and answers, if there is one. Raises StorageError."""
    state = read_state(directory.absolute())
    if state is None or not state.process.alive():
        return None
    client = AgentClient(state.control)
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


def discard(directory: Path, record: Path) -> bool:
    """Remove all that an agent which has ended keeps in `directory`, unless others are registered there.

    `record` is the one whose registration does not count any more. Whether it is removed; an agent that
    runs is left alone. Raises StorageError.
    """
    directory = directory.absolute()
    if not directory.is_dir():
        return True
    with files.locked(directory / "start.lock"):
        state, registry = read_state(directory), Registry(directory)
        left = {item.record for item in registry.registrations} - {record, *registry.gone()}
        if left or (state is not None and state.process.alive()):
            return False
        _clear(directory)
        files.remove_tree(directory)
    with contextlib.suppress(OSError):  # there are others
        directory.parent.rmdir()
    return True


def _end(directory: Path, state: AgentState) -> None:
    if not state.process.end():
        raise AgentError(
            f"the agent's process {state.process.pid} does not end",
            f"see what it waits for: ps -o pid,stat,wchan:20,cmd -p {state.process.pid}",
            code="agent.stuck",
        )
    _clear(directory)


def _clear(directory: Path) -> None:
    """Remove what an agent that was killed has left."""
    files.remove(state_file(directory))
    clear_sockets(directory)


def _launch(
    directory: Path, ref: ClusterRef | None, lease: float, withheld: Container[str], deadline: Deadline
) -> None:
    reference = json.dumps(None if ref is None else ref.as_json())
    # -P: the working directory is no place to import from.
    args = [sys.executable, "-P", "-m", "gfattach.agent", str(directory), str(lease), reference]
    variables = environment(ref, withheld)
    log = _log(directory)
    try:
        handle = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, files.PRIVATE_FILE)
    except OSError as error:
        raise files.storage_error("write", log, error) from error
    try:
        logged_before = os.fstat(handle).st_size
        child = subprocess.Popen(
            args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=handle,
            cwd="/",
            env=variables,
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(handle)
    try:
        line = _first_line(child, deadline)
    except BaseException:
        child.kill()
        child.wait()
        raise
    finally:
        assert child.stdout is not None
        child.stdout.close()
    document = _parsed(line)
    if document.get("ready"):
        # It outlives this process; while this one lives, somebody has to take note of its end.
        threading.Thread(target=child.wait, name="agent reaper", daemon=True).start()
        return
    if line is None:
        child.kill()
    code = child.wait()
    if "error" in document:
        raise typed(document["error"])
    raise AgentError(
        "the agent was not ready in time" if line is None else f"the agent ended with {code}",
        *_last_lines(directory, logged_before),
        f"see the log: {log}",
        code="agent.start",
    )


def _first_line(child: subprocess.Popen[bytes], deadline: Deadline) -> bytes | None:
    """What the child says before it closes its standard output; None when it takes too long."""
    assert child.stdout is not None
    said = b""
    while select.select([child.stdout], [], [], deadline.remaining())[0]:
        more = os.read(child.stdout.fileno(), 65536)
        if not more:
            return said
        said += more
    return None


def _parsed(line: bytes | None) -> dict[str, Any]:
    try:
        document = json.loads(line or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _log(directory: Path) -> Path:
    return directory / "agent.log"


def _last_lines(directory: Path, offset: int) -> list[str]:
    content = (files.read_bytes(_log(directory)) or b"")[offset:][-_LOG_TAIL_BYTES:]
    return [line for line in content.decode("utf-8", "replace").splitlines() if line][-_LOG_LINES:]
