"""Where the bed takes its programs from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness.cluster import build


def _program(directory: Path, name: str, output: str = "") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH directory, an empty cache, no envtest assets."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("GFATTACH_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path


@pytest.mark.usefixtures("nothing_installed")
def test_programs_that_are_nowhere_are_named_with_the_command_that_builds_them() -> None:
    with pytest.raises(build.BuildError) as error:
        build.locate()
    assert all(name in str(error.value) for name in build.PACKAGES)
    assert "python -m tests.harness.cluster.bed build" in str(error.value)


@pytest.mark.usefixtures("nothing_installed")
def test_without_go_the_build_says_where_to_get_it() -> None:
    with pytest.raises(build.BuildError, match=r"needs Go 1\.26.*https://go\.dev/dl"):
        build.build(lambda line: None)


def test_envtest_assets_come_before_programs_on_path(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in build.PACKAGES:
        _program(nothing_installed / "bin", name, "etcd Version: 3.6.8")
    for name in ("etcd", "kube-apiserver"):
        _program(nothing_installed / "assets", name)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(nothing_installed / "assets"))
    found = build.locate()
    assert found.etcd.parent.name == found.kube_apiserver.parent.name == "assets"
    assert found.kwok.parent.name == found.bazel_remote.parent.name == "bin"


def test_an_etcd_on_path_that_is_too_old_for_the_api_server_is_passed_over(nothing_installed: Path) -> None:
    for name in build.PACKAGES:
        _program(nothing_installed / "bin", name, "etcd Version: 3.4.23")
    with pytest.raises(build.BuildError, match="not built: etcd;"):
        build.locate()


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go 1.26 or later: https://go.dev/dl")
def test_a_changed_input_never_meets_programs_that_were_built_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GFATTACH_TEST_CACHE", str(tmp_path / "cache"))
    module = shutil.copytree(build.MODULE, tmp_path / "bed")
    monkeypatch.setattr(build, "MODULE", module)
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    source = module / "runtime-node" / "main.go"

    def find_with(text: str) -> Path | None:
        source.write_text(text)
        return build._find("runtime-node")

    original = source.read_text()
    source.write_text(original)
    _program(build._output_directory(), "runtime-node")
    assert find_with(original) is not None
    assert find_with(original + "\n// changed\n") is None
