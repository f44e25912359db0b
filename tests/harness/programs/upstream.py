"""Upstream's own Bazel 2.1.0, which is in the npm registry with its JDK."""

from __future__ import annotations

from tests.harness.programs.npm import NpmProgram

VERSION = "2.1.0"

_BAZEL = NpmProgram("@bazel/bazel-linux_x64", VERSION, "bazel", f"bazel-{VERSION}-linux-x86_64")

path, command, ensure = _BAZEL.path, _BAZEL.command, _BAZEL.ensure
