"""The Bazels that the tests run.

Real ones: the machine's (Debian 12: 4.2.3, without a version label and without netty's natives),
upstream's 2.1.0, which carries its own JDK and is installed once, from npm, into a directory that
outlives the tests, and those of other Debians (`tests/harness/programs`). A test that names none of
them takes its Bazel from `BAZELS`, and runs on each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gfattach.bazel.program.binary import Bazel, identify
from gfattach.core.deadline import Deadline
from tests.harness.programs import Installed, Kind, of_kind
from tests.harness.programs import upstream as upstream_bazel
from tests.harness.programs.upstream import VERSION as UPSTREAM_VERSION

#: What a build may take on a small machine that does other things too.
BUILD_SECONDS = 240.0


def debian() -> Bazel:
    """Debian's Bazel, or a skip that says how to get it."""
    path = Path("/usr/bin/bazel")
    if not path.exists():
        pytest.skip("needs Debian's Bazel: apt-get install bazel-bootstrap")
    return identify(path, Deadline.after(BUILD_SECONDS), environ=dict(os.environ))


def upstream() -> Bazel:
    """Upstream's Bazel, or a skip that says how to get it."""
    if not upstream_bazel.ensure():
        pytest.skip(f"needs upstream's Bazel {UPSTREAM_VERSION}: {' '.join(upstream_bazel.command())}")
    return identify(upstream_bazel.path(), Deadline.after(BUILD_SECONDS), environ=dict(os.environ))


def fetched(name: str, program: Installed | None) -> Bazel:
    """The Bazel of another Debian, or a skip that says how to get it."""
    if program is None:
        pytest.skip(f"needs {name}: python3 -m tests.harness.programs.fetch")
    return identify(program.launcher, Deadline.after(BUILD_SECONDS), environ=dict(os.environ))


def offline_rc(bazel: Bazel) -> str:
    """Lines of an rc with which a Bazel with modules builds without their registry; "" for one without."""
    modules = bazel.version is not None and int(bazel.version.partition(".")[0]) >= 6
    return "common --noenable_bzlmod\ncommon --enable_workspace\n" if modules else ""


def newest() -> Bazel:
    """The newest Bazel of the tests, or a skip that says how to get it."""
    return list(BAZELS.values())[-1]()


#: Every Bazel that there is, by a label that holds its version; the newest last.
BAZELS: dict[str, Callable[[], Bazel]] = {
    f"upstream-{UPSTREAM_VERSION}": upstream,
    "debian-4.2.3": debian,
    **{label: partial(fetched, label, program) for label, program in of_kind(Kind.BAZEL).items()},
}
