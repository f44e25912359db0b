"""The life of the trial's process: take the directory, serve both caches, say so, and end.

It ends when it is asked to, when its state file is gone or another's, and when no client used it
for long enough. The first line of its standard output is one JSON document, for the parent:
`{"ready": STATE}` or `{"error": {...}}`. Everything else goes to the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from gfattach.core import files
from gfattach.core.daemon.daemon import this_process
from gfattach.core.daemon.readiness import tell_parent
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import UsageError
from gfattach.trial.cache_server import CacheServer
from gfattach.trial.nix_server import NixCacheServer
from gfattach.trial.ports import LOOPBACK, PortError
from gfattach.trial.state import (
    MIN_MAX_BYTES,
    TRIAL,
    TrialState,
    log_file,
    remembered_port,
    to_document,
    write_state,
)

LOG = logging.getLogger(__name__)

#: Bytes that the log may have; beyond that its older part is dropped.
LOG_BYTES = 256 * 1024

#: Seconds between looks at the state file, the log and the calls that run.
TICK_SECONDS = 1.0

#: Seconds without a request of a Nix after which nothing is taken to be under way, and how long that may
#: take: less than what who ends this process waits before it insists.
LINGER_SECONDS, LINGER_LIMIT_SECONDS = 0.3, 1.5

Server = TypeVar("Server", CacheServer, NixCacheServer)


class ServeOptions(Struct, frozen=True):
    """A port of None means the one of the last time if it is free, or else any that is."""

    directory: Path
    bazel_port: int | None
    nix_port: int | None
    max_bytes: int
    idle_hours: float


def serve(options: ServeOptions) -> None:
    """Serve until it is time to end. Raises UsageError, StorageError and OSError."""
    directory = options.directory
    if options.max_bytes < MIN_MAX_BYTES:
        raise UsageError(
            f"the trial's Bazel cache cannot work with {options.max_bytes} bytes",
            f"give it {MIN_MAX_BYTES} bytes or more",
        )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with TRIAL.serving(directory), contextlib.ExitStack() as running:
        _log_to(log_file(directory))
        bazel = _start(
            lambda port: CacheServer(directory / "bazel", port, max_bytes=options.max_bytes),
            options.bazel_port,
            remembered_port(directory, "bazel"),
        )
        running.callback(bazel.stop)
        nix = _start(
            lambda port: NixCacheServer(directory / "nix", port),
            options.nix_port,
            remembered_port(directory, "nix"),
        )
        running.callback(nix.stop)
        state = _state(options, bazel, nix)
        write_state(directory, state)
        ours = _file_identity(TRIAL.state_file(directory))
        LOG.info("serving: bazel cache on port %d, nix cache on port %d", bazel.port, nix.port)
        tell_parent({"ready": to_document(state)})
        reason = _wait(options, bazel, nix, stop, ours)
        LOG.info("ending: %s", reason)
        if _file_identity(TRIAL.state_file(directory)) == ours:
            files.remove(TRIAL.state_file(directory))  # first: who starts one is not to take this for it
        _linger(nix)


def _start(make: Callable[[int], Server], asked: int | None, remembered: int | None) -> Server:
    """A server at the port that was asked for, or else at the one of the last time, or else at any."""
    if asked is None and remembered is not None:
        with contextlib.suppress(PortError):
            server = make(remembered)
            server.start()
            return server
    server = make(asked or 0)
    server.start()
    return server


def _state(options: ServeOptions, bazel: CacheServer, nix: NixCacheServer) -> TrialState:
    return TrialState(
        process=this_process(),
        cache_endpoint=Endpoint("grpc", LOOPBACK, bazel.port),
        nix_endpoint=Endpoint("http", LOOPBACK, nix.port),
        public_key=nix.public_key,
        probe_path=nix.probe_path,
        signed_path=nix.signed_path,
        max_bytes=options.max_bytes,
    )


def _wait(
    options: ServeOptions,
    bazel: CacheServer,
    nix: NixCacheServer,
    stop: threading.Event,
    ours: tuple[int, ...] | None,
) -> str:
    """Serve until there is a reason to end; the reason."""
    while not stop.wait(TICK_SECONDS):
        if _file_identity(TRIAL.state_file(options.directory)) != ours:
            return "the state file is gone, or another process's"
        if time.monotonic() - max(bazel.activity.last_use, nix.last_use) > options.idle_hours * 3600:
            return f"no client used it for {options.idle_hours:g} hours"
        if stalled := bazel.activity.cancel_stalled():
            LOG.warning("cancelled %d calls that moved nothing", stalled)
        trim(log_file(options.directory), LOG_BYTES)
    return "asked to"


def _linger(nix: NixCacheServer) -> None:
    """Serve on until it was quiet for a moment. A Nix that has read where this cache is asks it later than
    that, for each path anew, and ends its build where no server answers.
    """
    limit = time.monotonic() + LINGER_LIMIT_SECONDS
    quiet = time.monotonic() + LINGER_SECONDS
    while time.monotonic() < min(quiet, limit):
        time.sleep(0.02)
        quiet = max(quiet, nix.last_request + LINGER_SECONDS)


def _file_identity(path: Path) -> tuple[int, ...] | None:
    """What tells a file from one that was put in its place; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _log_to(path: Path) -> None:
    """Send standard error to `path`: the log, and what libraries print, end up in one place."""
    try:
        _redirect(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 2)
    except OSError as error:
        raise files.storage_error("write", path, error) from error
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _redirect(path: str, flags: int, to: int) -> None:
    handle = os.open(path, flags, files.PRIVATE_FILE)
    os.dup2(handle, to)
    os.close(handle)


def trim(path: Path, limit: int) -> None:
    """Drop all but the last half of `limit` bytes of a file that has more, whoever else appends to it."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= limit:
            return
        file.seek(size - limit // 2)
        kept = file.read().partition(b"\n")[2]
        file.seek(0)
        file.write(kept)
        file.truncate()
