"""An upstream that sends without end: what an agent keeps of it is bounded, asked or not."""

import contextlib
import socket
import threading
import time

import pytest

from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health
from tests.harness.cluster.agents import desk

__all__ = ["desk"]

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def flood():
    """The port of a server that answers the first question of a connection, and then sends zeros."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(1000)
            connection.sendall(WELL)
            time.sleep(0.05)
            while True:
                connection.sendall(bytes(1 << 16))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1]
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def test_of_a_flood_on_the_connection_of_the_health_check_nothing_is_kept(desk, flood):
    desk.register(ForwardSpec("http", DirectUpstream("127.0.0.1", flood), Health("http", "/status")))
    desk.wait("up", "http")
    time.sleep(2)
    assert desk.status().rss_bytes < 40 << 20
