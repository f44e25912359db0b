"""Upstream's own Bazel 2.1.0, which is in the npm registry with its JDK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.harness.programs.place import kept_directory

VERSION = "2.1.0"
PACKAGE = f"@bazel/bazel-linux_x64@{VERSION}"

#: Seconds for 44 MB.
NPM_SECONDS = 600


def path() -> Path:
    """Where it is, once it is there."""
    return _prefix() / "node_modules/@bazel/bazel-linux_x64" / f"bazel-{VERSION}-linux-x86_64"


def command() -> list[str]:
    """What installs it."""
    return ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(_prefix()), PACKAGE]


def ensure() -> bool:
    """Install it when it is not there; whether it is."""
    if not path().exists() and shutil.which("npm") is not None:
        _prefix().mkdir(parents=True, exist_ok=True)
        subprocess.run(command(), capture_output=True, timeout=NPM_SECONDS, check=False)
    return path().exists()


def _prefix() -> Path:
    return kept_directory() / f"bazel-{VERSION}"
