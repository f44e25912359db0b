"""A real bazel-remote on loopback, of the version that clusters run."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.machine.ports import free_port
from tests.harness.programs import kept_directory

PACKAGE = "github.com/buchgr/bazel-remote/v2@v2.6.2"

#: Seconds that it may take to listen.
START_SECONDS = 30.0


@dataclass(frozen=True)
class BazelRemote:
    """Its two ports."""

    grpc: int
    http: int


def program() -> Path:
    """bazel-remote from PATH or from where the tests keep programs, or a skip that says how to get it."""
    kept = kept_directory()
    candidates = [
        shutil.which("bazel-remote"),
        kept / "bazel-remote",
        *sorted(kept.glob("bed-*/bazel-remote")),
    ]
    for path in candidates:
        if path is not None and os.access(path, os.X_OK):
            return Path(path)
    pytest.skip(f"needs bazel-remote: GOBIN={kept} go install {PACKAGE}")


@contextlib.contextmanager
def bazel_remote(directory: Path, *options: str) -> Iterator[BazelRemote]:
    """One that keeps its files in `directory`; `options` are its own."""
    path = program()
    server = BazelRemote(free_port(), free_port())
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "log").open("wb") as log:
        child = subprocess.Popen(
            [
                path,
                f"--dir={directory / 'cache'}",
                "--max_size=1",
                f"--grpc_address=127.0.0.1:{server.grpc}",
                f"--http_address=127.0.0.1:{server.http}",
                *options,
            ],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        )
    try:
        _wait(child, server, directory / "log")
        yield server
    finally:
        child.terminate()
        child.wait(30)


def _wait(child: subprocess.Popen[bytes], server: BazelRemote, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    for port in (server.http, server.grpc):
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if child.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"bazel-remote does not start: {log.read_text()}")
            time.sleep(0.02)


def password_file(directory: Path) -> Path:
    """A file for `--htpasswd_file` that knows the user `reader` with the password `s3cret`."""
    path = directory / "htpasswd"
    path.write_text("reader:{SHA}/vNB+F2HQ559kaLUZbmHHvZrXpg=\n")
    return path
