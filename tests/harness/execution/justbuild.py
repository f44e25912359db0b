"""A real execution server: Debian's justbuild, run from the files of its own distribution.

The machine's apt fetches the packages into an apt root of its own and nothing is installed; the program
runs by the loader and the libraries that came with it. It executes what it is sent with the machine's own
programs. It ignores `skip_cache_lookup` and platform properties: what it knows, it serves out of its cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.cluster.daemon import wait_until

#: The Debian whose packages are taken. Any one does; the files of this one do not move any more.
SUITE = "trixie"

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: Seconds for the packages of one program.
FETCH_SECONDS = 600


def kept_directory() -> Path:
    """The tests' own cache, which outlives a run."""
    return Path(os.environ["GFATTACH_TEST_CACHE"])


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
    program = _program()
    directory.mkdir(parents=True, exist_ok=True)
    info = directory / "info.json"
    launcher = json.dumps(["env", f"WORKER={worker}", "PATH=/usr/bin:/bin"])
    options = ["execute", "--compatible", "-i", "127.0.0.1", "--info-file", str(info)]
    options += ["--local-build-root", str(directory / "root"), "-L", launcher]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen([*program, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
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


def _program() -> list[str]:
    """What calls it; a skip that says what is missing where it cannot be had."""
    root = kept_directory() / f"justbuild-{SUITE}"
    binary = root / "usr/bin/justbuild"
    if not binary.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with root.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # worktrees share the cache
            if not binary.exists() and (reason := _fetch(root)):
                pytest.skip(f"needs Debian's justbuild: {reason}")
    loader = next(root.glob("usr/lib64/ld-linux-*.so.*"), None) or next(root.glob("usr/lib/*/ld-linux*.so.*"))
    libraries = ":".join(str(path) for path in sorted(root.glob("usr/lib/*-linux-gnu")))
    return [str(loader), "--library-path", libraries, str(binary)]


def _fetch(root: Path) -> str:
    """Have the files of justbuild and of all it needs below `root`; why not, "" when they are."""
    if missing := [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]:
        return f"apt-get install {' '.join(missing)}"
    if not KEYRING.exists():
        return "apt-get install debian-archive-keyring"
    apt, unpacked = root.with_suffix(".apt"), root.with_suffix(".new")
    for place in (apt, unpacked):
        shutil.rmtree(place, ignore_errors=True)
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    settings = {
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/nonexistent",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
    }
    (apt / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    try:
        for command in (["update"], ["install", "--download-only", "-y", "justbuild"]):
            _run(["apt-get", "-q", *command], {"APT_CONFIG": str(apt / "apt.conf")})
        unpacked.mkdir()
        for package in sorted((apt / "cache/archives").glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(unpacked)], {})
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]} failed: {error.stderr.strip().splitlines()[-1:]}"
    unpacked.rename(root)
    shutil.rmtree(apt)
    print(f"fetched justbuild of Debian's {SUITE} for the tests", file=sys.stderr)
    return ""


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(
        command,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=FETCH_SECONDS,
        check=True,
    )
