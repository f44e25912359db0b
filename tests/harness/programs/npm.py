"""A program that is in the npm registry, pinned, in the tests' cache."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness.programs.place import kept_directory

#: Seconds for some 40 MB.
NPM_SECONDS = 600


@dataclass(frozen=True)
class NpmProgram:
    """`package` of the registry in `version`; `file` is the program in it, `kept` its name in the cache."""

    package: str
    version: str
    kept: str
    file: str

    def path(self) -> Path:
        """Where it is, once it is there."""
        return self._prefix / "node_modules" / self.package / self.file

    def command(self) -> list[str]:
        """What installs it."""
        words = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(self._prefix)]
        return [*words, f"{self.package}@{self.version}"]

    def ensure(self) -> bool:
        """Install it when it is not there; whether it is."""
        if not self.path().exists() and shutil.which("npm") is not None:
            self._prefix.mkdir(parents=True, exist_ok=True)
            subprocess.run(self.command(), capture_output=True, timeout=NPM_SECONDS, check=False)
        return self.path().exists()

    @property
    def _prefix(self) -> Path:
        return kept_directory() / f"{self.kept}-{self.version}"
