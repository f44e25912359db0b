"""Fetches the programs: `python3 -m tests.harness.programs.fetch`, which `dev.py test` does by itself.

A program lies in a directory named by a key of its package's version and of how it is laid out, so a
program that moved on, or a change of these modules, fetches it anew, and a run that is under way keeps
what it has. `program.json` is written last: what has none is half a program, and is begun again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.programs import apt, pythons, relocate, short_lived, upstream
from tests.harness.programs.apt import AptError, AptRoot
from tests.harness.programs.catalogue import PROGRAMS, Kind, Program
from tests.harness.programs.held import moved_on
from tests.harness.programs.installed import RECORD, Installed, installed
from tests.harness.programs.place import programs_directory

#: Seconds after which a version that no run has used goes.
UNUSED_SECONDS = 14 * 86400.0

#: What decides on how a program is laid out, besides its own line in the catalogue; of a Python.
_RECIPE, _PYTHON_RECIPE = (apt, relocate), (apt, relocate, pythons)


def main() -> int:
    """Fetch what is missing; 1 when one could not be had."""
    missing = 0
    for program in PROGRAMS:
        try:
            ensure(program)
        except AptError as error:
            missing = 1
            there = installed(program.name)
            rest = f"going on with {there.version}" if there else "its tests will be skipped"
            _say(f"{program.name} was not fetched ({error}); {rest}")
    for line in moved_on():
        _say(line)
    if not upstream.path().exists():
        _say(f"installing Bazel {upstream.VERSION} for the tests")
        if not upstream.ensure():
            missing = 1
            _say("npm failed; the tests of that Bazel will be skipped")
    return missing


def ensure(program: Program) -> Installed:
    """`program` in the version that its suite has now, fetched where it is not there. Raises AptError."""
    place = programs_directory() / program.name
    place.mkdir(parents=True, exist_ok=True)
    with _lock(place.parent / f".{program.suite}.lock"):
        root = AptRoot(place.parent / f".apt-{program.suite}", program.suite)
        root.refresh()
        version = root.version(program.package)
        kept = place / _key(program, version)
        if not (kept / RECORD).exists():
            _say(f"fetching {program.package} {version} of Debian's {program.suite} for the tests")
            _make(program, root, version, kept)
        if program.kind is Kind.BAZEL:
            _hasten(kept / str(json.loads((kept / RECORD).read_text())["launcher"]))
        os.utime(kept / RECORD)
        _remove_unused(place)
    found = installed(program.name)
    assert found is not None
    return found


def _hasten(launcher: Path) -> None:
    """Its launcher for servers that live shortly; the tests do without, slower, where that cannot be made."""
    try:
        short_lived.hasten(launcher)
    except (OSError, subprocess.SubprocessError) as error:
        _say(f"{launcher} goes on as it is: {error}")


def _make(program: Program, root: AptRoot, version: str, kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    wanted = root.closure(program.package, relocate.TOOL)
    packages = [each for each in wanted if not re.fullmatch(program.leave_out, each.name)]
    with tempfile.TemporaryDirectory(dir=kept.parent) as text:
        for package in root.fetch(packages, Path(text)):
            apt.unpack(package, kept)
            package.unlink()
    relocate.relink(kept)
    launcher = kept / program.path
    match program.kind:
        case Kind.BAZEL:
            launcher = relocate.relocate_bazel(kept)
        case Kind.NIX:
            launcher = relocate.relocate_nix(kept, launcher)
        case Kind.PYTHON:
            pythons.lay_out(kept, launcher)
        case Kind.EXECUTOR:
            relocate.wrap(kept, launcher)
    record = {
        "name": program.name,
        "kind": program.kind,
        "suite": program.suite,
        "package": program.package,
        "package_version": version,
        "launcher": str(launcher.relative_to(kept)),
        "version": _ask_version(program, launcher),
        "fetched": time.strftime("%Y-%m-%d", time.gmtime()),
        "packages": {each.name: each.version for each in packages},
    }
    (kept / RECORD).write_text(json.dumps(record, indent=1) + "\n")


def _ask_version(program: Program, launcher: Path) -> str:
    """What the program itself says: the last word of its first line; of an executor, a list of numbers."""
    with tempfile.TemporaryDirectory() as home:
        environ = {"HOME": home, "PATH": os.environ.get("PATH", os.defpath)}
        command = [str(launcher), "version" if program.kind is Kind.EXECUTOR else "--version"]
        done = subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or not done.stdout.strip():
        raise AptError(
            f"{launcher.name} {command[1]} ended with {done.returncode}: {done.stderr.strip()[-200:]}"
        )
    if program.kind is Kind.EXECUTOR:
        return ".".join(str(each) for each in json.loads(done.stdout)["version"])
    return done.stdout.splitlines()[0].split()[-1]


def _key(program: Program, version: str) -> str:
    modules = _PYTHON_RECIPE if program.kind is Kind.PYTHON else _RECIPE
    recipe = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    return hashlib.sha256(recipe + repr(program).encode() + version.encode()).hexdigest()[:16]


def _remove_unused(place: Path) -> None:
    for record in place.glob(f"*/{RECORD}"):
        if time.time() - record.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(record.parent, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One at a time: worktrees share the cache."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
