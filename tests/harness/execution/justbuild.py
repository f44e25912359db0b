"""A real execution server: Debian's justbuild, which the tests' catalogue of programs has.

It executes what it is sent with the machine's own programs. It ignores `skip_cache_lookup` and platform
properties: what it knows, it serves out of its cache.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.cluster.daemon import wait_until
from tests.harness.programs.installed import installed

#: Its name in the catalogue.
PROGRAM = "justbuild-trixie"


@dataclass(frozen=True)
class Justbuild:
    """A server that runs. `url` is what Bazel dials."""

    port: int
    directory: Path

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"


@contextlib.contextmanager
def justbuild(directory: Path, *, worker: str = "w1") -> Iterator[Justbuild]:
    """A server that keeps all it has in `directory`; what it executes has WORKER in its environment."""
    program = installed(PROGRAM)
    if program is None:
        pytest.skip("needs Debian's justbuild in the tests' cache: python3 dev.py test")
    directory.mkdir(parents=True, exist_ok=True)
    info = directory / "info.json"
    launcher = json.dumps(["env", f"WORKER={worker}", "PATH=/usr/bin:/bin"])
    options = ["execute", "--compatible", "-i", "127.0.0.1", "--info-file", str(info)]
    options += ["--local-build-root", str(directory / "root"), "-L", launcher]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            [program.launcher, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_until("justbuild is up", lambda: server.poll() is not None or _ready(info))
        if server.poll() is not None:
            raise AssertionError((directory / "log").read_text(errors="replace"))
        yield Justbuild(json.loads(info.read_text())["port"], directory)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _ready(info: Path) -> bool:
    try:
        return bool(json.loads(info.read_text())["port"])
    except (OSError, ValueError, KeyError):
        return False
