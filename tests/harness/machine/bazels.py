"""The Bazels that the tests run.

Two real ones: Debian's (4.2.3, without a version label and without netty's natives) and
upstream's 2.1.0, which carries its own JDK. The second is installed once, from npm, into a
directory that outlives the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gfattach.bazel.program import Bazel, identify
from gfattach.core.deadline import Deadline

UPSTREAM_VERSION = "2.1.0"
UPSTREAM_PACKAGE = f"@bazel/bazel-linux_x64@{UPSTREAM_VERSION}"

#: What a build may take on a small machine that does other things too.
BUILD_SECONDS = 240.0


def kept_directory() -> Path:
    named = os.environ.get("GFATTACH_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "gfattach-tests"


def upstream_path() -> Path:
    prefix = kept_directory() / f"bazel-{UPSTREAM_VERSION}"
    return prefix / "node_modules/@bazel/bazel-linux_x64" / f"bazel-{UPSTREAM_VERSION}-linux-x86_64"


def install_upstream() -> str | None:
    """Install upstream's Bazel when it is not there; what to run when that does not work."""
    path = upstream_path()
    prefix = kept_directory() / f"bazel-{UPSTREAM_VERSION}"
    command = ["npm", "install", "--no-save", "--prefix", str(prefix), UPSTREAM_PACKAGE]
    if not path.exists() and shutil.which("npm") is not None:
        prefix.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, capture_output=True, timeout=300, check=False)
    return None if path.exists() else " ".join(command)


def debian() -> Bazel:
    """Debian's Bazel, or a skip that says how to get it."""
    path = Path("/usr/bin/bazel")
    if not path.exists():
        pytest.skip("needs Debian's Bazel: apt-get install bazel-bootstrap")
    return identify(path, Deadline.after(BUILD_SECONDS), environ=dict(os.environ))


def upstream() -> Bazel:
    """Upstream's Bazel, or a skip that says how to get it."""
    if (command := install_upstream()) is not None:
        pytest.skip(f"needs upstream's Bazel {UPSTREAM_VERSION}: {command}")
    return identify(upstream_path(), Deadline.after(BUILD_SECONDS), environ=dict(os.environ))


BAZELS = {"debian-4.2.3": debian, f"upstream-{UPSTREAM_VERSION}": upstream}
