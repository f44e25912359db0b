"""An agent among more clients than it can serve: it serves those that it can, and stays well."""

import contextlib
import os
import resource
import signal
import socket
import time

import pytest

from tests.harness.cluster.agents import SECONDS, Carrier, connect, desk, wait_for

__all__ = ["desk"]


def echo(connection, data):
    while data:
        connection.sendall(data)
        data = connection.recv(65536)


@pytest.fixture
def forward(desk):
    carrier = Carrier(echo)
    (made,) = desk.register(carrier.spec())
    desk.wait("up", "carrier")
    yield made
    carrier.close()


@contextlib.contextmanager
def clients(forward, route, number):
    """Connections that were taken, of `number` that were tried."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(number):
            with contextlib.suppress(OSError):
                found.append(stack.enter_context(connect(forward, route)))
        yield found


def served(connections):
    """How many of them are served; the others are turned away, and none is left waiting."""
    count = 0
    for each in connections:
        with contextlib.suppress(OSError):
            each.sendall(b"hello")
            count += each.recv(5) == b"hello"
    return count


@pytest.mark.parametrize("route", ["tcp", "unix"])
def test_with_few_descriptors_it_turns_away_at_once_whom_it_cannot_serve(desk, forward, route):
    resource.prlimit(desk.status().pid, resource.RLIMIT_NOFILE, (64, 64))
    since = desk.forward("carrier").since
    with clients(forward, route, 60) as tried:
        began = time.monotonic()
        count = served(tried)
        assert time.monotonic() - began < SECONDS / 2  # which is what a client waits for an answer
        assert 8 <= count < 32
        status = desk.status()
        assert status.rss_bytes is not None
        assert status.forward("carrier").refused == 60 - count
    wait_for(lambda: desk.forward("carrier").open_connections == 0)
    with clients(forward, route, 1) as tried:
        assert served(tried) == 1
    found = desk.forward("carrier")
    assert (found.state, found.since, found.last_error) == ("up", since, "")
    assert "too many open files" not in (desk.directory / "agent.log").read_text()


@pytest.mark.parametrize("route", ["tcp", "unix"])
def test_of_many_that_came_while_it_stood_still_each_is_served_or_counted_as_refused(desk, forward, route):
    """It takes them all in one turn: who each one is has to be seen while there are descriptors to look."""
    pid = desk.status().pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
    os.kill(pid, signal.SIGSTOP)
    with clients(forward, route, 100) as tried:
        os.kill(pid, signal.SIGCONT)
        count = served(tried)
        assert 8 <= count < 32
        assert desk.forward("carrier").refused == 100 - count


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
def test_of_six_hundred_at_once_over_its_socket_as_many_are_served_as_it_holds(desk, forward):
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(600)]
    with contextlib.ExitStack() as stack:
        for each in waiting:
            stack.enter_context(each)
            each.setblocking(False)
            each.connect(str(forward.socket_path))
            each.settimeout(SECONDS)
        assert served(waiting) == 512
    wait_for(lambda: desk.forward("carrier").open_connections == 0)
    assert desk.status().rss_bytes < 64 << 20
