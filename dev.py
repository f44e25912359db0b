#!/usr/bin/env python3
"""Everything a fresh machine needs, with nothing but Python: run gfattach, or its tests.

    python3 dev.py up --trial      any gfattach command, in an environment made for it
    python3 dev.py test [ARGS]     the tests; ARGS go to pytest (-n 0: one after another)
    python3 dev.py test --fast     those that need no Bazel, no Nix and no cluster, and are not slow
    python3 dev.py test --times    all, with the seconds of each file, by which the next run is ordered, and
                                   of what is slow
    python3 dev.py setup           only the environment
    python3 dev.py --python 3.14 COMMAND   any of these with that Python: Debian's (3.13, 3.14), which is
                                   fetched without root, or one on the PATH

The environment is `.venv/` beside this file; another Python that runs it has one of its own. System
packages (Debian: bazel-bootstrap, nix-bin, python3-venv) are installed when this user may (root,
or sudo without a password) and GFATTACH_NO_INSTALL is not set; each is named before it is
installed. Without them the command goes on and says what it could not prove.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent

#: Another Python than that of `.venv` has an environment of its own beside it.
VENV = ROOT / ".venv"
_MADE_BY = VENV / "pyvenv.cfg"
_OWN = ".".join(map(str, sys.version_info[:2]))
if _MADE_BY.exists() and f"version = {_OWN}." not in _MADE_BY.read_text(encoding="utf-8"):
    VENV = ROOT / f".venv-{_OWN}"
PYTHON = VENV / "bin" / "python"

#: The suites that need no Bazel, no Nix and no cluster.
FAST = ("tests/unit", "tests/conformance")

#: What decides on the contents of the environment: the dependencies, and the versions of them; of the tests'
#: environment with the checksum of every file.
CONSTRAINTS, LOCK = ROOT / "constraints.txt", ROOT / "tests.lock"
INPUTS = (ROOT / "pyproject.toml", CONSTRAINTS, LOCK)

#: The programs that a proof wants, and the Debian package of each.
PROGRAMS = {"bazel": "bazel-bootstrap", "nix-store": "nix-bin"}

#: What the tests want beyond them.
TEST_PROGRAMS = {
    "git": "git",
    "zsh": "zsh",
    "fish": "fish",
    "npm": "npm",
    "etcd": "etcd-server",
    "gcc": "gcc",
    "setpriv": "util-linux",
    "curl": "curl",
    "zstd": "zstd",
    "chromium-headless-shell": "chromium-headless-shell",
}


def main(args: list[str]) -> int:
    """Set up what `args` need and run them; the exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036, this file is read by whatever Python there is
        say(f"gfattach needs Python 3.11 or later, and this is {sys.version.split()[0]}")
        return 2
    if not args or args[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if args[0] == "--python":
        return with_python(args[1] if len(args) > 1 else "", args[2:])
    testing = args[0] == "test"
    install_programs(PROGRAMS | (TEST_PROGRAMS if testing else {}))
    if (code := make_environment(testing=testing)) != 0:
        return code
    if args[0] == "setup":
        return 0
    if testing:
        words = args[1:]
        if "--fast" in words:
            words = words if any(word.startswith("tests/") for word in words) else [*FAST, *words]
        else:
            fetch_programs()
        if not any(word in ("-n", "--numprocesses") or word.startswith("-n=") for word in words):
            words += ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile"]
        # Thousands of children import the same modules: they are compiled once.
        environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.call([PYTHON, "-m", "pytest", *words], cwd=ROOT, env=environment)
    return run([str(PYTHON), "-m", "gfattach", *args])


def with_python(version: str, args: list[str]) -> int:
    """Start anew with the Python of `version`; its environment is its own. 2 where there is none."""
    python = find_python(version)
    if python is None:
        say(f"there is no Python {version or 'named'}; --python takes 3.13, 3.14 or what is on the PATH")
        return 2
    return run([python, str(ROOT / "dev.py"), *args])


def find_python(version: str) -> str | None:
    """The path of the Python of `version` (`3.14`): Debian's in the tests' cache, or the PATH's."""
    from tests.harness.programs import fetch, pythons

    if (program := pythons.of_version(version)) is not None:
        try:
            return str(fetch.ensure(program).launcher)
        except fetch.AptError as error:
            say(f"{program.name} was not fetched: {error}")
    return shutil.which(f"python{version}") if version else None


def run(command: list[str]) -> int:
    """Run `command` as a process of its own, so that its clock starts with it and not with the set-up."""
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the terminal has told the child too: it ends in its own way
            continue


def say(text: str) -> None:
    """One line about the set-up, on stderr, where progress goes."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def make_environment(*, testing: bool) -> int:
    """`.venv` with gfattach and its dependencies, made anew when one of INPUTS changed."""
    stamp = VENV / f".gfattach-{'test' if testing else 'run'}"
    wanted = hashlib.sha256(b"".join(each.read_bytes() for each in INPUTS)).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    if not PYTHON.exists():
        say(f"making the environment {VENV}")
        if not has_venv():
            install(["python3-venv"])
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
        if made.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            say(f"cannot make an environment: {made.stdout.strip() or made.stderr.strip()}")
            say("install Debian's python3-venv: apt-get install python3-venv")
            return 1
    say(f"installing gfattach{' with what its tests need' if testing else ''} into it")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if testing:
        own = ["--no-deps", "--editable", str(ROOT)]
        steps = [["--require-hashes", "--requirement", str(LOCK)], own]
    else:
        steps = [["--constraint", str(CONSTRAINTS), "--editable", str(ROOT)]]
    for step in steps:
        if subprocess.call([*pip, *step]) != 0:
            say("the installation failed; the lines above say why")
            return 1
    stamp.write_text(wanted)
    say(f"gfattach is {VENV / 'bin' / 'gfattach'}; python3 dev.py COMMAND calls it")
    return 0


def has_venv() -> bool:
    """Whether this Python can make environments with pip in them (Debian ships that apart)."""
    return (
        subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0
    )


def install_programs(programs: dict[str, str]) -> None:
    """Install the packages of the programs that are missing, if this user may."""
    missing = {name: package for name, package in programs.items() if shutil.which(name) is None}
    if missing:
        install(sorted(set(missing.values())))


def install(packages: list[str]) -> None:
    """Install Debian packages, or say which commands would."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if (sudo := may_install()) is None:
        say(
            f"not installed: {' '.join(packages)}; to have them: {' '.join(command[:2])} {' '.join(packages)}"
        )
        return
    say(f"installing the system packages {' '.join(packages)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update"], command):
        done = subprocess.run([*sudo, *step], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            say(f"{' '.join(step[:2])} failed: {reason}")
            if step is command:
                say("going on without")


def may_install() -> list[str] | None:
    """The words to put before apt-get; None where this user may not, or does not want to."""
    if os.environ.get("GFATTACH_NO_INSTALL") or shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def fetch_programs() -> None:
    """The other Bazels, Nixes and Pythons of the tests, into the tests' cache."""
    from tests.harness.programs import fetch

    fetch.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
