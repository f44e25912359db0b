"""One bed for all tests of this directory, put back in order after each."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.harness.cluster import build
from tests.harness.cluster.cluster import Cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that takes the bed."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> build.Programs:
    """The bed's programs; built when CI=true or GFATTACH_TEST_BUILD_CLUSTER=1, else a skip says how."""
    try:
        return build.locate()
    except build.BuildError as error:
        if os.environ.get("CI") != "true" and os.environ.get("GFATTACH_TEST_BUILD_CLUSTER") != "1":
            pytest.skip(build.missing_tools() or str(error))
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    return build.build(reporter.write_line if reporter else lambda line: None)


@pytest.fixture(scope="package")
def cluster(programs: build.Programs) -> Iterator[Cluster]:
    """A running cluster: namespace nix-cache, Service bazel-cache, one ready pod, a real bazel-remote."""
    with Cluster(programs=programs) as running:
        yield running


@pytest.fixture(autouse=True)
def _leave_it_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test killed, deleted or redirected is back for the next one."""
    running = request.getfixturevalue("cluster") if "cluster" in request.fixturenames else None
    yield
    if running is not None:
        running.reset()
