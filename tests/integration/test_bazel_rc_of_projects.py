"""The rc files of large public projects, as real Bazels read them: only an executor is refused."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.options.preflight import QUIET_WHERE_KNOWN, effective_options
from gfattach.bazel.server.run import Server
from gfattach.contract.bazel.executor import read_rc_files
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, RefusedError
from gfattach.proof.bazel.no_executor import refuse_effective_executor
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS
from tests.harness.machine.projects import PROJECTS
from tests.harness.programs.upstream import VERSION as UPSTREAM_VERSION

pytestmark = pytest.mark.bazel

CACHE_OPTIONS = ("remote_cache", "remote_executor", "remote_instance_name", "disk_cache")


@dataclass
class Place:
    server: Server
    root: Path
    accepted: frozenset[str]


@pytest.fixture(scope="module", params=BAZELS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    bazel = BAZELS[request.param]()
    root = tmp_path_factory.mktemp("projects")
    for name in ("workspace", "home"):
        (root / name).mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "USER": "dev"}
    with Server(bazel, root / "workspace", root / "work", "one", environ=environ) as server:
        _mark(server.workspace)
        assert server.run("help", [], Deadline.after(BUILD_SECONDS)).good  # started, on a busy machine too
        asked = (QUIET_WHERE_KNOWN[0], *WITHOUT_MODULES)
        yield Place(server, root, accepted_flags(bazel, asked, work=root / "flags", server=server))


def _mark(workspace: Path) -> None:
    for marker in ("WORKSPACE", "MODULE.bazel"):
        (workspace / marker).touch()


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, place: Place) -> Iterator[str]:
    """The project's files, in the workspace."""
    workspace = place.server.workspace
    _mark(workspace)
    paths = {workspace / name: text for name, text in PROJECTS[request.param].files.items()}
    for path, text in paths.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    yield request.param
    for path in paths:
        path.unlink()


def test_bazel_takes_the_files_and_only_an_executor_is_refused(place: Place, project: str) -> None:
    shape = PROJECTS[project]
    until = Deadline.after(BUILD_SECONDS)
    if shape.ends_2_1 and place.server.bazel.version == UPSTREAM_VERSION:
        with pytest.raises(BazelError) as ended:
            effective_options(place.server, place.root / "phase", until, accepted=place.accepted)
        assert shape.ends_2_1 in " ".join((ended.value.fact, *ended.value.hints))
        return
    options = effective_options(place.server, place.root / "phase", until, accepted=place.accepted)
    said = {name: options.effective(name) or "" for name in CACHE_OPTIONS}
    for name in CACHE_OPTIONS:
        expected = shape.effective.get(name, "")
        assert said[name] == expected or (expected == "*" and said[name]), said
    uploads = options.effective("remote_upload_local_results")
    assert (uploads or "") == shape.effective.get("remote_upload_local_results", ""), options.command_line

    files = read_rc_files(place.server.workspace, place.server.environment, [])
    if not shape.refused:
        refuse_effective_executor(options, files)
        return
    with pytest.raises(RefusedError) as caught:
        refuse_effective_executor(options, files)
    assert caught.value.code == "prove.executor.endpoint"
    assert shape.refused in " ".join(caught.value.hints)
