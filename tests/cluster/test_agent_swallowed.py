"""What was open to the API server is forgotten on the way without a word: a client loses no build over it."""

from __future__ import annotations

import http.client
import time

import pytest

from gfattach.agent.forward.clients import HOLD_SECONDS
from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from tests.harness.cluster.agents import SECONDS, desk
from tests.harness.cluster.manifests import NAMESPACE, SERVICE
from tests.harness.cluster.wire.wire import wire
from tests.harness.machine.budget import budget

__all__ = ["desk"]


#: Seconds before the end of its hold in which no other attempt is begun for a client.
LAST_PAUSE = 1.6


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
    """The seconds that a new client's first answer takes.

    A client is held for HOLD_SECONDS and no longer: on a machine where that is too short for a dial, its
    next attempt counts, and none that is reset before.
    """
    began = time.monotonic()
    while True:
        asked = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", "/status")
            assert connection.getresponse().status == 200
            return time.monotonic() - began
        except ConnectionResetError:
            if time.monotonic() - asked < HOLD_SECONDS - LAST_PAUSE:
                raise
        finally:
            connection.close()


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
