"""What was open to the API server is forgotten on the way without a word: a client loses no build over it."""

from __future__ import annotations

import http.client
import time

import pytest

from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from tests.harness.cluster.agents import SECONDS, desk
from tests.harness.cluster.manifests import NAMESPACE, SERVICE
from tests.harness.cluster.wire.wire import wire
from tests.harness.machine.budget import budget

__all__ = ["desk"]


@pytest.fixture
def between(cluster):
    with wire(cluster) as made:
        yield made


@pytest.fixture
def attached(cluster, desk, between):
    """Attached through the wire."""
    file = between.kubeconfig(cluster, desk.root)
    client = supervisor.ensure(
        desk.directory, ClusterRef((file,), "bed", NAMESPACE), deadline=Deadline.after(SECONDS)
    )
    spec = ForwardSpec("http", PodUpstream(NAMESPACE, SERVICE, "http"), Health("http", "/status"))
    client.register(Registration(desk.record, (spec,)), Deadline.after(SECONDS))
    desk.wait("up", "http")
    return desk


def visit(port: int) -> float:
    """The seconds that a new client's first answer takes."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/status")
    assert connection.getresponse().status == 200
    connection.close()
    return time.monotonic() - began


@pytest.mark.parametrize("pause", [0.0, 3.1], ids=["at once", "after the list of pods is out of date"])
def test_the_next_client_is_served_within_two_seconds(attached, between, pause):
    port = attached.forward("http").port
    for _ in range(3):
        visit(port)
    time.sleep(pause)
    between.swallow()
    assert visit(port) < budget(2.0)
    # What was opened since is well.
    assert visit(port) < budget(1.0)


def test_a_flood_of_clients_asks_the_api_server_for_the_pods_once(attached, between):
    port = attached.forward("http").port
    visit(port)
    time.sleep(3.1)
    before = between.connections
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(60)]
    for client in clients:
        client.connect()
    for client in clients:
        client.request("GET", "/status")
        assert client.getresponse().status == 200
    # One for each client, the next one's, and those that the one question takes.
    assert between.connections - before <= len(clients) + 5
    for client in clients:
        client.close()
