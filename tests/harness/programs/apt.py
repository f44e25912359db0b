"""Packages of another Debian, with the machine's own apt: an apt root of one's own, so no right is needed
and nothing of the machine's is read or written but the keys that Debian signs with.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where Debian's packages come from, unless the variable names a mirror.
MIRROR_VARIABLE = "GFATTACH_DEBIAN_MIRROR"
MIRROR = "http://deb.debian.org/debian"

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: What has to be there: by the program, the package.
NEEDED = {"apt-get": "apt", "dpkg-deb": "dpkg"}

#: Seconds for which a suite's list of packages is taken as it is: sid moves four times a day.
LIST_SECONDS = 12 * 3600.0

#: Seconds that one call of apt may take.
CALL_SECONDS = 1200.0


class AptError(Exception):
    """Apt could not do it, with what it said."""


@dataclass(frozen=True)
class Package:
    """One package to fetch."""

    name: str
    version: str


class AptRoot:
    """An apt that knows one suite, below `directory`."""

    def __init__(self, directory: Path, suite: str) -> None:
        self._directory = directory
        self._suite = suite
        self._stamp = directory / "updated"

    def refresh(self) -> None:
        """Have the suite's list of packages, of today at the latest. Raises AptError."""
        missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
        if not KEYRING.exists():
            missing.append("debian-archive-keyring")
        if missing:
            raise AptError(f"needs {' '.join(missing)}: apt-get install {' '.join(missing)}")
        if self._stamp.exists() and time.time() - self._stamp.stat().st_mtime < LIST_SECONDS:
            return
        self._configure()
        self._run("apt-get", "update")
        self._stamp.touch()

    def version(self, package: str) -> str:
        """The version that the suite has now. Raises AptError."""
        said = self._run("apt-cache", "policy", package)
        found = re.search(r"^  Candidate: (\S+)$", said, re.MULTILINE)
        if found is None or found[1] == "(none)":
            raise AptError(f"{self._suite} has no package {package}")
        return found[1]

    def closure(self, *packages: str) -> list[Package]:
        """`packages` and all that they depend on, on a machine that has nothing. Raises AptError."""
        said = self._run("apt-get", "install", "--simulate", "-y", *packages)
        lines = re.findall(r"^Inst (\S+) \((\S+) ", said, re.MULTILINE)
        return [Package(name.partition(":")[0], version) for name, version in lines]

    def fetch(self, packages: Sequence[Package], into: Path) -> list[Path]:
        """Download them, checked against the suite's signature. Raises AptError."""
        into.mkdir(parents=True, exist_ok=True)
        self._run("apt-get", "download", *(f"{each.name}={each.version}" for each in packages), cwd=into)
        return sorted(into.glob("*.deb"))

    def _configure(self) -> None:
        root = self._directory
        for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "status").touch()
        mirror = os.environ.get(MIRROR_VARIABLE, MIRROR)
        (root / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {self._suite} main\n")
        (root / "apt.conf").write_text(
            f'Dir "{root}";\n'
            f'Dir::State "{root}/state";\n'
            f'Dir::State::status "{root}/status";\n'
            f'Dir::Cache "{root}/cache";\n'
            f'Dir::Etc "{root}/etc";\n'
            'Dir::Etc::sourceparts "/nonexistent";\n'
            'APT::Install-Recommends "false";\n'
            'APT::Sandbox::User "root";\n'
            'Acquire::Languages "none";\n'
            # A mirror that stands at a date is as good: each package is checked by its digest all the same.
            'Acquire::Check-Valid-Until "false";\n'
        )

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        environ = {**os.environ, "APT_CONFIG": str(self._directory / "apt.conf"), "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                command,
                cwd=cwd or self._directory,
                env=environ,
                capture_output=True,
                text=True,
                timeout=CALL_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise AptError(f"{' '.join(command[:2])} did not end within {CALL_SECONDS:.0f} s") from error
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
            raise AptError(f"{' '.join(command[:2])}: {(errors or ['no reason given'])[0]}")
        return done.stdout


def unpack(package: Path, root: Path) -> None:
    """The files of `package` below `root`; none of its scripts is run."""
    done = subprocess.run(["dpkg-deb", "-x", package, root], capture_output=True, text=True)
    if done.returncode != 0:
        raise AptError(f"{package.name}: {done.stderr.strip()}")
