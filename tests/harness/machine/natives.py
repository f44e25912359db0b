"""Netty's TLS library for Debian's Bazel, out of Debian's packages, unpacked below the tests' cache."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gfattach.bazel.capabilities.transport import LIBRARY
from tests.harness.programs import kept_directory

PACKAGES = ("libnetty-tcnative-jni", "libapr1")


def natives() -> Path:
    """A directory with the library and what it needs, or a skip that says what was tried."""
    kept = kept_directory() / "netty-natives"
    command = ["apt-get", "download", *PACKAGES]
    if not (kept / LIBRARY).exists() and shutil.which("apt-get") is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as text:
            room = Path(text)
            subprocess.run(command, cwd=room, capture_output=True, timeout=120, check=False)
            for package in room.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, room / "all"], check=True, timeout=60)
            found = {
                LIBRARY: next(room.glob("all/usr/lib/*/jni/libnetty-tcnative.so"), None),
                "libapr-1.so.0": next(room.glob("all/usr/lib/*/libapr-1.so.0"), None),
            }
            if all(found.values()):
                kept.mkdir(exist_ok=True)
                # The library itself last: where it is, all is.
                for name, path in reversed(found.items()):
                    shutil.copy(path.resolve(), kept / name)
    if not (kept / LIBRARY).exists():
        pytest.skip(f"needs netty's TLS library: {' '.join(command)}")
    return kept
