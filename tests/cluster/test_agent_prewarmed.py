"""The connection that an agent opens ahead of the next client, through a real API server and kubelet."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from tests.harness.cluster.agents import SECONDS, connect, desk, wait_for
from tests.harness.cluster.manifests import NAMESPACE, POD, RUNTIME_NODE, SERVICE

__all__ = ["desk"]


class Greeter:
    """A server that says its number first, as gRPC servers speak first, and then what it hears.

    The agent's own question is a GET: the greeting answers the first, and its connection lasts.
    """

    GREETING = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\nContent-Length: 0\r\n\r\n"

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.server.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.ended: set[int] = set()  # numbers of those that the other side has ended
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                self.connections.append(connection)
                number = len(self.connections)
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(self.GREETING % number)
            asked = False
            while data := connection.recv(1000):
                if not data.startswith(b"GET / "):
                    connection.sendall(data)
                elif asked:
                    connection.sendall(self.GREETING % number)
                else:
                    asked = True
        self.ended.add(number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self._accepting.join()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def greeter(cluster):
    made = Greeter()
    # On the node that treats bytes as container runtimes do.
    cluster.delete_pod(POD)
    cluster.create_pod(POD, node=RUNTIME_NODE)
    cluster.forward_target(8080, "127.0.0.1", made.port)
    yield made
    made.close()


def attach(cluster, desk) -> None:
    """Attach to the port `http` alone."""
    client = supervisor.ensure(
        desk.directory, ClusterRef((cluster.kubeconfig,), "bed", NAMESPACE), deadline=Deadline.after(SECONDS)
    )
    spec = ForwardSpec("http", PodUpstream(NAMESPACE, SERVICE, "http"), Health("http", "/"))
    client.register(Registration(desk.record, (spec,)), Deadline.after(SECONDS))
    desk.wait("up", "http")


@pytest.fixture
def attached(cluster, desk, greeter):
    """Attached to the greeter alone. The first connection is the agent's own question."""
    attach(cluster, desk)
    wait_for(lambda: len(greeter.connections) == 1)
    return desk


def number(connection: socket.socket) -> int:
    """Which of the greeter's connections this one ends in; what is sent comes back after its greeting."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        data = connection.recv(1000)
        assert data, "it ended before its greeting was over"
        got += data
    connection.sendall(b"ping")
    assert connection.recv(1000) == b"ping"
    return int(got.partition(b"X-Number: ")[2].split()[0])


def visit(desk) -> int:
    with connect(desk.forward("http"), "unix") as connection:
        return number(connection)


def test_each_client_finds_what_was_opened_after_the_one_before_greeting_included(attached, greeter):
    assert visit(attached) == 2
    for expected in range(3, 8):
        wait_for(lambda expected=expected: len(greeter.connections) == expected)  # type: ignore[misc]
        assert visit(attached) == expected
    wait_for(lambda: len(greeter.connections) == 8)
    assert attached.forward("http").total_connections == 6
    assert attached.forward("http").open_connections <= 1


def test_nothing_is_opened_ahead_before_a_client_has_come(attached, greeter):
    time.sleep(1)
    assert len(greeter.connections) == 1  # the question's


def test_one_whose_server_has_closed_it_is_handed_to_nobody(attached, greeter):
    visit(attached)
    wait_for(lambda: len(greeter.connections) == 3)
    greeter.connections[2].shutdown(socket.SHUT_WR)
    # Container runtimes end a connection, on both sides of it, one second after the server's end.
    wait_for(lambda: 3 in greeter.ended)
    time.sleep(1)  # the agent hears of it through the API server
    assert visit(attached) > 3


def test_one_to_a_pod_that_is_ready_no_more_is_handed_to_nobody(cluster, attached, greeter):
    visit(attached)
    wait_for(lambda: len(greeter.connections) == 3)
    # This test's kubelet has no container that would end: the connection lives on without its pod.
    cluster.create_pod("second", node=RUNTIME_NODE)
    cluster.delete_pod(POD)
    time.sleep(3.1)  # the agent believes a list of ready pods for three seconds
    assert visit(attached) > 3


def test_many_at_once_are_all_served(attached, greeter):
    visit(attached)
    with contextlib.ExitStack() as stack:
        all_ = [stack.enter_context(connect(attached.forward("http"), "unix")) for _ in range(30)]
        assert len({number(connection) for connection in all_}) == 30


class Flood(Greeter):
    """A server that sends without end to whoever connects."""

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if (data := connection.recv(1000)).startswith(b"GET / "):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            while data:
                connection.sendall(bytes(1 << 16))


def test_clients_that_do_not_read_hold_little_of_a_flood(cluster, desk):
    flood = Flood()
    try:
        cluster.delete_pod(POD)
        cluster.create_pod(POD, node=RUNTIME_NODE)
        cluster.forward_target(8080, "127.0.0.1", flood.port)
        attach(cluster, desk)
        before = desk.status().rss_bytes
        with contextlib.ExitStack() as stack:
            for _ in range(40):
                connection = stack.enter_context(connect(desk.forward("http"), "unix"))
                connection.sendall(b"x")
            wait_for(lambda: len(flood.connections) > 40)  # the agent's own question besides
            time.sleep(2)
            status = desk.status()
            assert status.forward("http").open_connections == 40
            assert status.rss_bytes - before < 40 * (512 << 10)
        wait_for(lambda: desk.forward("http").open_connections == 0)
    finally:
        flood.close()
