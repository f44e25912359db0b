"""How bazelisk is set up, as bazelisk 1.28.1 reads it: what a private server of ours is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfattach.bazel.program.bazelisk import settings, switches_of, wrapper_of


@pytest.fixture
def place(tmp_path):
    """A home and, two directories below a root of its own, a workspace."""
    for name in ("home", "root/projects/workspace/tools"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def told(place, **environ):
    found = settings(place / "root/projects/workspace", {"HOME": str(place / "home"), **environ})
    return {name: value for name, value in found.items() if name != "BAZELISK_HOME"}


WORKSPACE_RC, HOME_RC = "root/projects/workspace/.bazeliskrc", "home/.bazeliskrc"


@pytest.mark.parametrize(
    ("files", "environ", "expected"),
    [
        ({WORKSPACE_RC: "USE_BAZEL_VERSION=7.4.0"}, {}, {"USE_BAZEL_VERSION": "7.4.0"}),
        (
            {WORKSPACE_RC: "# mirror\nBAZELISK_BASE_URL = https://mirror.example/bazel \n\nOTHER=1\n"},
            {},
            {"BAZELISK_BASE_URL": "https://mirror.example/bazel"},
        ),
        (
            {HOME_RC: "BAZELISK_BASE_URL=https://home.example", WORKSPACE_RC: "USE_BAZEL_VERSION=8.1.1"},
            {},
            {"BAZELISK_BASE_URL": "https://home.example", "USE_BAZEL_VERSION": "8.1.1"},
        ),
        (
            {HOME_RC: "USE_BAZEL_VERSION=6.0.0", WORKSPACE_RC: "USE_BAZEL_VERSION=7.0.0"},
            {"USE_BAZEL_VERSION": "8.0.0"},
            {"USE_BAZEL_VERSION": "8.0.0"},
        ),
        (
            {WORKSPACE_RC: "USE_BAZEL_VERSION=7.0.0", "root/projects/workspace/.bazelversion": "6.0.0"},
            {},
            {"USE_BAZEL_VERSION": "7.0.0"},
        ),
        ({"root/projects/.bazelversion": "7.1.0\n"}, {}, {}),
        ({"root/projects/workspace/.bazelversion": "7.1.0\n6.0.0\n"}, {}, {"USE_BAZEL_VERSION": "7.1.0"}),
        ({"root/.bazelversion": "5.0.0", "root/projects/workspace/.bazelversion": "\n6.0.0\n"}, {}, {}),
        (
            {WORKSPACE_RC: "USE_BAZEL_FALLBACK_VERSION=silent:7.2.0\nBAZELISK_VERIFY_SHA256=abc"},
            {},
            {"USE_BAZEL_FALLBACK_VERSION": "silent:7.2.0", "BAZELISK_VERIFY_SHA256": "abc"},
        ),
        (
            {WORKSPACE_RC: "BAZELISK_GITHUB_TOKEN=hush\nBAZELISK_BASE_URL=https://user:hush@mirror.example"},
            {"BAZELISK_GITHUB_TOKEN": "hush"},
            {},
        ),
    ],
)
def test_what_says_something_first_counts_and_no_secret_is_handed_on(place, files, environ, expected):
    for name, text in files.items():
        (place / name).write_text(text)
    assert told(place, **environ) == expected


def test_its_store_is_found_from_another_home(place):
    workspace = place / "root/projects/workspace"
    found = settings(workspace, {"HOME": "/home/dev"})["BAZELISK_HOME"]
    assert found.startswith("/home/dev/") and found.endswith("bazelisk")
    (workspace / ".bazeliskrc").write_text("BAZELISK_HOME=/srv/bazels\n")
    assert settings(workspace, {"HOME": "/home/dev"})["BAZELISK_HOME"] == "/srv/bazels"


def script(path: Path, text="#!/bin/sh\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_wrapper_is_the_one_that_bazelisk_would_run(place, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    workspace = place / "root/projects/workspace"
    assert wrapper_of(workspace, {}) is None
    (workspace / "tools/bazel").write_text("not executable")
    assert wrapper_of(workspace, {}) is None
    plain = script(workspace / "tools/bazel")
    assert wrapper_of(workspace, {}) == plain
    own = script(workspace / "tools/bazel.linux-x86_64")
    assert wrapper_of(workspace, {}) == own
    elsewhere = script(workspace / "build/wrap/bazel")
    assert wrapper_of(workspace, {"BAZELISK_WRAPPER_DIRECTORY": "build/wrap"}) == elsewhere
    (workspace / ".bazeliskrc").write_text("BAZELISK_WRAPPER_DIRECTORY=./build/wrap\n")
    assert wrapper_of(workspace, {}) == elsewhere
    assert wrapper_of(workspace, {"BAZELISK_SKIP_WRAPPER": "1"}) is None


def test_a_wrappers_own_switches_are_handed_on_and_no_secret_with_them(place):
    wrapper = script(
        place / "wrapper", '#!/bin/sh\n[ -n "$USE_LOCAL" ] || echo ${BUILD_MODE:-x} $API_TOKEN $UNSET\n'
    )
    environ = {"USE_LOCAL": "1", "BUILD_MODE": "ci", "API_TOKEN": "hush", "OTHER": "2"}
    assert switches_of(wrapper, environ) == {"BUILD_MODE": "ci", "USE_LOCAL": "1"}
    assert switches_of(None, environ) == {}
