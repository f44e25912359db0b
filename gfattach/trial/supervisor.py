"""Start, find and end the trial's process: what the rest of gfattach knows of it.

The process outlives the command that started it. It is found again by its state file, and
believed only if that very process is alive and answers.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach import __version__
from gfattach.core import files
from gfattach.core.background import begin, environment, stuck
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ExitCode, GfattachError, StorageError, UsageError
from gfattach.trial.ports import LOOPBACK, PortError, check_port
from gfattach.trial.state import (
    DEFAULT_MAX_BYTES,
    TrialState,
    from_document,
    log_file,
    read_state,
    state_file,
)

#: Seconds that a process which is alive gets to answer.
ANSWER_SECONDS = 2.0

#: What the process gets of the environment: where libraries are, and nothing that may be a secret.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH", "TZ")


def start(
    directory: Path,
    *,
    bazel_port: int | None = None,
    nix_port: int | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    deadline: Deadline,
) -> TrialState:
    """Have the trial of `directory` run as asked, and return where.

    One that runs already is left alone if it is what was asked for, and is replaced if it is not, or
    is of another version, or does not answer. A port of None means the last one if it is free, or else any.

    Raises UsageError for a port that was asked for and is another process's, StorageError for a directory
    that cannot be used, GfattachError when the process ends or is not ready by `deadline`.
    """
    directory = files.make_private_directory(directory.absolute())
    with files.locked(directory / "start.lock", deadline.remaining()):
        recorded = read_state(directory)
        running = recorded if recorded is not None and recorded.process.alive() else None
        if running is not None:
            ports = (bazel_port or running.cache_endpoint.port, nix_port or running.nix_endpoint.port)
            wanted = (*ports, max_bytes, __version__)
            if wanted == _facts(running) and _answers(running):
                return running
            for port in set(ports) - {running.cache_endpoint.port, running.nix_endpoint.port}:
                check_port(port)  # before what runs is ended for it
            _end(directory, running)
        options = {"--bazel-port": bazel_port, "--nix-port": nix_port, "--max-bytes": max_bytes}
        return _launch(directory, options, deadline)


def find(directory: Path) -> TrialState | None:
    """The trial of `directory` that runs and answers, if there is one. Raises StorageError."""
    state = read_state(directory.absolute())
    return state if state is not None and state.process.alive() and _answers(state) else None


def stop(directory: Path) -> bool:
    """End the trial of `directory`; whether one ran. Its ports and what it keeps stay.

    Raises StorageError, and GfattachError for a process that cannot be ended.
    """
    directory = directory.absolute()
    if not directory.is_dir():
        return False
    with files.locked(directory / "start.lock"):
        state = read_state(directory)
        if state is not None and state.process.alive():
            _end(directory, state)
            return True
        files.remove(state_file(directory))
        return False


def _facts(state: TrialState) -> tuple[int, int, int, str]:
    return state.cache_endpoint.port, state.nix_endpoint.port, state.max_bytes, state.version


def _end(directory: Path, state: TrialState) -> None:
    if not state.process.end():
        raise GfattachError(*stuck(state.process, "the trial's"), code="trial.stuck")
    files.remove(state_file(directory))


def _answers(state: TrialState) -> bool:
    """Whether both ports are listened on and the process, which is one for both, gives an answer."""
    try:
        bazel, nix = state.cache_endpoint.port, state.nix_endpoint.port
        with socket.create_connection((LOOPBACK, bazel), ANSWER_SECONDS):
            pass
        with socket.create_connection((LOOPBACK, nix), ANSWER_SECONDS) as connection:
            connection.sendall(b"GET /nix-cache-info HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return connection.recv(64).partition(b"\r\n")[0].endswith(b" 200 OK")
    except OSError:
        return False


def _launch(directory: Path, options: dict[str, int | None], deadline: Deadline) -> TrialState:
    given = [text for name, value in options.items() if value is not None for text in (name, str(value))]
    # -P: the working directory is no place to import from.
    args = [sys.executable, "-P", "-m", "gfattach.trial", "--directory", str(directory), *given]
    log = log_file(directory)
    beginning = begin(args, environment(_PASSED_ON.__contains__), log, deadline)
    state = from_document(beginning.ready)
    if state is not None:
        return state
    if beginning.error is not None:
        raise _typed(beginning.error)
    raise GfattachError(*beginning.failure("the embedded caches", "were", log), code="trial.start")


def _typed(said: Mapping[str, Any]) -> GfattachError:
    """The error that the child met, as it would have been raised here."""
    kinds = {StorageError.default_code: StorageError, "trial.port": PortError, "trial.port-in-use": PortError}
    kind = kinds.get(said["code"], UsageError if said["exit"] == ExitCode.USAGE else GfattachError)
    return kind(said["fact"], *said["hints"], code=said["code"])
