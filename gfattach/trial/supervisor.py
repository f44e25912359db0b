"""Start, find and end the trial's process: what the rest of gfattach knows of it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from gfattach import __version__
from gfattach.core.daemon.daemon import ANSWER_SECONDS
from gfattach.core.daemon.start import environment
from gfattach.core.deadline import Deadline
from gfattach.trial.ports import LOOPBACK, check_port
from gfattach.trial.state import DEFAULT_MAX_BYTES, MODULE, TRIAL, TrialState

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
    directory = directory.absolute()

    def keep(running: TrialState) -> bool:
        had = (running.cache_endpoint.port, running.nix_endpoint.port)
        ports = (bazel_port or had[0], nix_port or had[1])
        same = (*ports, max_bytes, __version__) == (*had, running.max_bytes, running.version)
        if same and _answers(running):
            return True
        for port in set(ports) - set(had):
            check_port(port)  # before what runs is ended for it
        return False

    def launch() -> TrialState:
        options = {"--bazel-port": bazel_port, "--nix-port": nix_port, "--max-bytes": max_bytes}
        return _launch(directory, options, deadline)

    return TRIAL.ensure(directory, keep, launch, deadline)


def find(directory: Path) -> TrialState | None:
    """The trial of `directory` that runs and answers, if there is one. Raises StorageError."""
    state = TRIAL.running(directory.absolute())
    return state if state is not None and _answers(state) else None


def stuck(directory: Path) -> int | None:
    """The process of the trial of `directory` that runs and does not answer. Raises StorageError."""
    state = TRIAL.running(directory.absolute())
    return None if state is None or _answers(state) else state.process.pid


def stop(directory: Path) -> bool:
    """End the trial of `directory`; whether one ran. Its ports and what it keeps stay.

    Raises StorageError, and GfattachError for a process that cannot be ended.
    """
    return TRIAL.stop(directory.absolute())


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
    args = [sys.executable, "-P", "-m", MODULE, "--directory", str(directory), *given]
    return TRIAL.launch(directory, args, environment(_PASSED_ON.__contains__), deadline)
