"""A real bazelisk, set up as people do, its Bazels from loopback: a private server takes the same one."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.bazel.program.binary import Bazel, identify
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from tests.harness.machine.bazels import BUILD_SECONDS, upstream
from tests.harness.machine.developer import Machine
from tests.harness.programs import bazelisk
from tests.harness.programs.bazelisk import Mirror, mirror
from tests.harness.programs.upstream import VERSION as UPSTREAM_VERSION

pytestmark = pytest.mark.bazel

#: In a Bazel's place: it says its version, and nothing else is asked of it here.
SCRIPT = "#!/bin/sh\necho bazel {version}\n"


@dataclass
class Place:
    """A home, a workspace with a directory in it, and a mirror."""

    root: Path
    mirror: Mirror

    @property
    def workspace(self) -> Path:
        return self.root / "projects/workspace"

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.root / "home")}

    def identify(self, **variables: str) -> Bazel:
        until = Deadline.after(BUILD_SECONDS)
        given = {**self.environ, **variables}
        return identify(bazelisk.path(), until, workspace=self.workspace, environ=given)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if not bazelisk.ensure():
        pytest.skip(f"needs bazelisk {bazelisk.VERSION}: {' '.join(bazelisk.command())}")
    for name in ("home", "projects/workspace/sub"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "projects/workspace/WORKSPACE").touch()
    served = {version: SCRIPT.format(version=version).encode() for version in ("6.1.0", "7.2.0", "8.3.0")}
    with mirror(served) as at:
        yield Place(tmp_path, at)


WORKSPACE, HOME, ABOVE = "projects/workspace", "home", "projects"
SETUPS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "the workspace's file names mirror and version": (
        {f"{WORKSPACE}/.bazeliskrc": "BAZELISK_BASE_URL={url}\nUSE_BAZEL_VERSION=7.2.0\n"},
        {},
        "7.2.0",
    ),
    "the home's file names the mirror, .bazelversion the version": (
        {f"{HOME}/.bazeliskrc": "BAZELISK_BASE_URL={url}\n", f"{WORKSPACE}/.bazelversion": "6.1.0\n"},
        {},
        "6.1.0",
    ),
    "the workspace's file outranks the home's and .bazelversion": (
        {
            f"{HOME}/.bazeliskrc": "BAZELISK_BASE_URL={url}\nUSE_BAZEL_VERSION=6.1.0\n",
            f"{WORKSPACE}/.bazeliskrc": "# ours\n USE_BAZEL_VERSION = 8.3.0\n",
            f"{WORKSPACE}/.bazelversion": "7.2.0\n",
        },
        {},
        "8.3.0",
    ),
    "a variable outranks all": (
        {f"{WORKSPACE}/.bazeliskrc": "BAZELISK_BASE_URL={url}\nUSE_BAZEL_VERSION=7.2.0\n"},
        {"USE_BAZEL_VERSION": "6.1.0"},
        "6.1.0",
    ),
    "a fallback where nothing names a version": (
        {f"{HOME}/.bazeliskrc": "BAZELISK_BASE_URL={url}\nUSE_BAZEL_FALLBACK_VERSION=silent:8.3.0\n"},
        {},
        "8.3.0",
    ),
    "a .bazelversion of a directory above is not read": (
        {
            f"{HOME}/.bazeliskrc": "BAZELISK_BASE_URL={url}\nUSE_BAZEL_FALLBACK_VERSION=silent:7.2.0\n",
            f"{ABOVE}/.bazelversion": "6.1.0\n",
        },
        {},
        "7.2.0",
    ),
    "a format of the URL": (
        {f"{HOME}/.bazeliskrc": "BAZELISK_FORMAT_URL={url}/%v/x\nUSE_BAZEL_VERSION=6.1.0\n"},
        {},
        "6.1.0",
    ),
}


@pytest.mark.parametrize("name", SETUPS)
def test_a_private_server_takes_the_bazel_that_the_user_gets(place: Place, name: str) -> None:
    files, variables, version = SETUPS[name]
    for path, text in files.items():
        (place.root / path).write_text(text.replace("{url}", place.mirror.url))
    users = subprocess.run(
        [bazelisk.path(), "--version"],
        cwd=place.workspace / "sub",
        env={**place.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert users.stdout == f"bazel {version}\n", users.stderr
    bazel = place.identify(**variables)
    assert bazel.version == version
    elsewhere = place.root / "elsewhere"
    elsewhere.mkdir()
    with Server(bazel, elsewhere, place.root / "work", "own") as server:
        asked = len(place.mirror.asked)
        own = subprocess.run(
            [bazel.path, "--version"], cwd=elsewhere, env=server.environment, capture_output=True, text=True
        )
    assert own.stdout == f"bazel {version}\n", own.stderr
    assert len(place.mirror.asked) == asked, "it was downloaded once"


def test_a_wrapper_of_another_directory_is_run_with_the_switches_that_it_reads(place: Place) -> None:
    (place.workspace / ".bazeliskrc").write_text(
        f"BAZELISK_BASE_URL={place.mirror.url}\nUSE_BAZEL_VERSION=6.1.0\nBAZELISK_WRAPPER_DIRECTORY=./ci\n"
    )
    wrapper = place.workspace / "ci/bazel"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\necho "bazel ${OUR_RELEASE:-none}"\n')
    wrapper.chmod(stat.S_IRWXU)
    assert place.identify().version == "none"
    assert place.identify(OUR_RELEASE="9.9.1").version == "9.9.1"
    assert place.identify(OUR_RELEASE="9.9.1", BAZELISK_SKIP_WRAPPER="1").version == "6.1.0"


def test_an_attach_with_bazelisk_is_proved_with_the_version_of_the_workspace(machine: Machine) -> None:
    real = upstream().path
    if not bazelisk.ensure():
        pytest.skip(f"needs bazelisk {bazelisk.VERSION}: {' '.join(bazelisk.command())}")
    with mirror({UPSTREAM_VERSION: real.read_bytes()}) as at:
        (machine.root / "home").mkdir(exist_ok=True)
        (machine.root / "home/.bazeliskrc").write_text(f"BAZELISK_BASE_URL={at.url}\n")
        (machine.workspace / ".bazelversion").write_text(f"{UPSTREAM_VERSION}\n")
        bin_directory = machine.root / "bin"
        bin_directory.mkdir()
        shutil.copy2(bazelisk.path(), bin_directory / "bazelisk")
        machine.variables["PATH"] = f"{bin_directory}:{os.environ['PATH']}"
        result = machine.json("up", "--trial", "--no-nix")["result"]
        machine.run("down")
        assert result["verdict"] == "proved", result
        assert at.asked == [UPSTREAM_VERSION]
