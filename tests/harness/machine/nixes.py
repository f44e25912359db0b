"""The Nix that the tests run, and what they run it on: a private store, a cache that Nix itself made,
a daemon of its own. Nothing of the machine's Nix is read or written."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.files import remove_tree
from gfattach.nix.program import Nix, identify, nix_store
from gfattach.nixcache.target import PROBE_PATH
from tests.harness.machine import faulty_servers as faults
from tests.harness.programs import Installed, Kind, of_kind

#: A path that no cache of the tests has.
UNPUBLISHED = "/nix/store/0c0v1gmxbkz4i0hp0d3kfyvjrrzfp4ks-gfattach-unpublished"

#: The uid and gid of somebody who owns nothing.
NOBODY = 65534

#: Seconds for a command of Nix on a machine that does other things too.
NIX_SECONDS = 60.0

#: Seconds in which a guarded fragment has to follow its substituter, and a build to end beside a dead one.
FOLLOWED_SECONDS = 2.0
BUILD_SECONDS = 5.0

_EXPRESSION = """{
  probe = builtins.toFile "gfattach-probe-v1" "gfattach probe v1\\n";
  signed = derivation {
    name = "gfattach-test-signed-v1";
    system = "builtin";
    builder = "builtin:buildenv";
    derivations = [ ];
    manifest = "/dev/null";
  };
  derived = derivation {
    name = "gfattach-test-never-built";
    system = "builtin";
    builder = "builtin:buildenv";
    derivations = [ ];
    manifest = "/dev/null";
  };
}
"""


#: Every Nix that there is, by a label that holds its version; None is the machine's, the newest is last.
NIXES: dict[str, Installed | None] = {"debian-2.8.0": None, **of_kind(Kind.NIX)}


@pytest.fixture(scope="module", params=NIXES)
def each_nix(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a module's tests on each Nix: it is the `nix` of PATH meanwhile. Its label."""
    program = NIXES[request.param]
    if program is None and request.param != "debian-2.8.0":
        pytest.skip(f"needs {request.param}: python3 -m tests.harness.programs.fetch")
    with pytest.MonkeyPatch.context() as patch:
        if program is not None:
            patch.setenv("PATH", str(program.launcher.parent), prepend=os.pathsep)
        yield request.param


def real_nix() -> Nix:
    """The Nix of PATH (the machine's, but with `each_nix`), or a skip that says how to get it."""
    found = shutil.which("nix")
    if found is None or shutil.which("nix-store") is None:
        pytest.skip("needs Nix: apt-get install nix-bin")
    return identify(Path(found), Deadline.after(NIX_SECONDS), dict(os.environ))


def for_others(nix: Nix) -> bool:
    """Whether other users than this one can run it: one that was fetched lies in this user's home."""
    return all(place.stat().st_mode & stat.S_IXOTH for place in nix.path.resolve().parents)


@functools.cache
def watched_places() -> tuple[Path, ...]:
    """Where a Nix that is left to itself would write, for this user and for root."""
    homes = {Path(pwd.getpwuid(os.getuid()).pw_dir), Path.home(), Path("/root")}
    below = (".config/nix", ".cache/nix", ".local/share/nix", ".local/state/nix", ".nix-profile", ".netrc")
    system = (
        Path("/nix"),
        Path("/nix/store"),
        Path("/nix/var/nix"),
        Path("/etc/nix"),
        Path("/etc/nix/nix.conf"),
    )
    return (*system, *(home / name for home in sorted(homes) for name in below))


def real_state() -> dict[str, tuple[int, int, int] | None]:
    """What there is of the machine's own Nix: identity, size and time of change of each place."""
    seen: dict[str, tuple[int, int, int] | None] = {}
    for place in watched_places():
        try:
            status = place.lstat()
        except OSError:
            seen[str(place)] = None
            continue
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        seen[str(place)] = (status.st_ino, size, status.st_mtime_ns)
    return seen


@pytest.fixture
def untouched() -> Iterator[None]:
    """Holds a test to it: the machine's Nix is after it what it was before it."""
    before = real_state()
    yield
    assert real_state() == before


def real_files() -> dict[str, bytes | tuple[int, int]]:
    """The machine's store by the names in it, and every file that configures a Nix here by its content."""
    homes = {Path(pwd.getpwuid(os.getuid()).pw_dir), Path.home(), Path("/root")}
    seen: dict[str, bytes | tuple[int, int]] = {}
    for pattern in ("", "*", "*/*", "var/*/*", "var/nix/*/*"):
        for path in Path("/nix").glob(pattern) if pattern else [Path("/nix")]:
            with contextlib.suppress(OSError):
                status = path.lstat()
                seen[str(path)] = (status.st_ino, status.st_mode)
    configuring = [Path("/etc/nix"), *(home / ".config/nix" for home in sorted(homes))]
    files = [path for place in configuring for path in (place, *place.rglob("*"))]
    for path in (*files, *(home / ".netrc" for home in sorted(homes))):
        with contextlib.suppress(OSError):
            seen[str(path)] = path.read_bytes() if path.is_file() else (path.lstat().st_ino, 0)
    return seen


@dataclass(frozen=True)
class BinaryCache:
    """A binary cache that a real Nix made. `drv` is a derivation whose output it does not hold."""

    directory: Path
    public_key: str
    probe_path: str
    signed_path: str
    unbuilt_drv: str


def private_environment(directory: Path, **settings: str) -> dict[str, str]:
    """An environment for a Nix that keeps everything below `directory`."""
    places = {
        "HOME": "home",
        "XDG_CACHE_HOME": "cache",
        "NIX_CONF_DIR": "conf",
        "NIX_STATE_DIR": "state",
        "NIX_LOG_DIR": "log",
        "NIX_USER_CONF_FILES": "none",
    }
    for name in ("home", "cache", "conf"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    written = {
        "build-users-group": "",
        "experimental-features": "nix-command",
        "sandbox": "false",
        "sandbox-paths": "",  # a diverted store has a sandbox all the same, with a shell that may be missing
        "substituters": "",
        **settings,
    }
    text = "".join(f"{name.replace('_', '-')} = {value}\n" for name, value in written.items())
    (directory / "conf" / "nix.conf").write_text(text)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        **{name: str(directory / place) for name, place in places.items()},
    }


def make_cache(nix: Nix, directory: Path, key_name: str = "gfattach-test-1") -> BinaryCache:
    """Build the paths in a private store and copy them, signed, into a cache of files."""
    work = directory / "maker"
    environment = private_environment(work)
    store = f"local?root={work / 'root'}"
    (work / "paths.nix").write_text(_EXPRESSION)

    def run(program: str, *args: str) -> str:
        path = nix_store(nix).with_name(program)
        done = subprocess.run(
            [path, *args], env=environment, cwd=work, capture_output=True, text=True, timeout=NIX_SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    # Even this opens a store: without --store it would be the machine's.
    run("nix-store", "--store", store, "--generate-binary-cache-key", key_name, "secret", "public")
    probe = run(
        "nix-instantiate", "--store", store, "--eval", "--read-write-mode", "paths.nix", "-A", "probe"
    )
    signed = run("nix-build", "--store", store, "--no-out-link", "paths.nix", "-A", "signed")
    unbuilt = run("nix-instantiate", "--store", store, "paths.nix", "-A", "derived")
    assert probe.strip('"') == PROBE_PATH
    cache = directory / "cache"
    destination = f"file://{cache}?secret-key={work / 'secret'}&compression=xz"
    run("nix", "copy", "--store", store, "--to", destination, PROBE_PATH, signed)
    public = (work / "public").read_text().strip()
    remove_tree(work)
    return BinaryCache(cache, public, PROBE_PATH, signed, unbuilt)


class FilesHandler(SimpleHTTPRequestHandler):
    """Files as they are; nothing is logged."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving_files(directory: Path) -> Iterator[int]:
    """A cache of files on loopback; yields its port."""
    with faults.handled_by(functools.partial(FilesHandler, directory=str(directory))) as port:
        yield port


@dataclass(frozen=True)
class Daemon:
    """A real nix-daemon with a store of its own. `environment` is that of a client of it."""

    socket: Path
    directory: Path
    environment: Mapping[str, str]


@contextlib.contextmanager
def daemon(nix: Nix, directory: Path, **settings: str) -> Iterator[Daemon]:
    """Run nix-daemon on a socket below `directory`, with `settings` in the system's nix.conf.

    The store is a chroot store: the daemon's /nix/store is below `directory` too.
    """
    environment = private_environment(directory, **settings)
    socket = directory / "socket"
    owned = {
        **environment,
        "NIX_REMOTE": f"local?root={directory / 'root'}",
        "NIX_DAEMON_SOCKET_PATH": str(socket),
    }
    with (directory / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [nix_store(nix).with_name("nix-daemon")],
            env=owned,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = Deadline.after(NIX_SECONDS)
        while not socket.exists():
            assert process.poll() is None and not deadline.expired, (directory / "daemon.log").read_text()
            time.sleep(0.02)
        yield Daemon(socket, directory, _client(environment, directory, socket))
    finally:
        process.terminate()
        process.wait(10)
        remove_tree(directory / "root")


def _client(environment: Mapping[str, str], directory: Path, socket: Path) -> dict[str, str]:
    """What a user of the daemon has: the same system configuration, a home of their own."""
    kept = {name: environment[name] for name in ("PATH", "NIX_CONF_DIR")}
    home = directory / "user"
    home.mkdir(exist_ok=True)
    own = {"HOME": home, "XDG_CACHE_HOME": home / ".cache", "NIX_DAEMON_SOCKET_PATH": socket}
    return {**kept, **{name: str(path) for name, path in own.items()}, "NIX_REMOTE": "daemon"}


def hold_guard_to(emptied: list[float], restored: list[float], builds: list[float]) -> None:
    """Print how a guarded fragment followed its substituter, in seconds, and fail where it was too slow."""
    figures = (
        f"emptied {len(emptied)} times after {max(emptied):.3f} s at most, "
        f"restored after {max(restored):.3f} s, the longest build {max(builds):.3f} s"
    )
    print(figures)
    assert max(emptied) < FOLLOWED_SECONDS and max(restored) < FOLLOWED_SECONDS, figures
    assert max(builds) < BUILD_SECONDS, figures
