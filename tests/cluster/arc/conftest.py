"""One bed with ARC's kinds for the tests of this directory, emptied before each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gfattach.cluster.api.client import Api
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.cluster.wire.http import Client
from gfattach.core.deadline import Deadline
from gfattach.queue.model.question import Scope
from gfattach.queue.model.snapshot import Snapshot
from gfattach.queue.model.world import World
from gfattach.queue.read import read_snapshot
from tests.harness.arc.bed import VIEWER, ArcCluster, viewer_rules
from tests.harness.arc.maker import Maker
from tests.harness.cluster import build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that takes the bed."""
    for item in items:
        if "arc_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="package")
def arc_cluster(programs: build.Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArcCluster]:
    """A running cluster with ARC's kinds, a scheduler and quotas that are counted."""
    with ArcCluster(tmp_path_factory.mktemp("arc") / "bed", programs) as running:
        running.viewer = running.user(VIEWER, viewer_rules(), None)  # type: ignore[attr-defined]
        yield running  # type: ignore[misc]


@pytest.fixture(scope="package")
def whole_maker(arc_cluster: ArcCluster) -> Maker:
    return Maker(str(arc_cluster.admin_kubeconfig))


@pytest.fixture
def maker(arc_cluster: ArcCluster, whole_maker: Maker) -> Maker:
    """Makes objects, in a cluster that has none."""
    whole_maker.clear()
    return whole_maker


def snapshot_of(kubeconfig: Path, scope: Scope = Scope()) -> Snapshot:  # noqa: B008, it is frozen
    """What the product reads with that kubeconfig."""
    deadline = Deadline.after(60)
    connection = resolve(ClusterRef((kubeconfig,)), deadline, {})

    async def read() -> Snapshot:
        client = Client(connection, 20)
        try:
            return await read_snapshot(Api(connection, client), scope, deadline)
        finally:
            client.close()

    return run_sync(read())


@pytest.fixture
def look(arc_cluster: ArcCluster) -> Callable[..., World]:
    """A look with the rights that are shipped, so many seconds later than it is."""

    def looking(shift: float = 0.0, kubeconfig: Path | None = None, scope: Scope = Scope()) -> World:  # noqa: B008
        made = World(snapshot_of(kubeconfig or arc_cluster.viewer, scope))  # type: ignore[attr-defined]
        made.now += timedelta(seconds=shift)
        return made

    return looking
