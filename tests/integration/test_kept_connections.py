"""Connections to an API server that are kept between questions: one that has died costs nobody his time."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire import http
from gfattach.cluster.wire.http import Client, HttpError, Request
from gfattach.core.deadline import Deadline

ASKED = Request("GET", "/version")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every question after `pause` seconds, over each connection `answers` times; then it says
    nothing there any more, as when something on the way has forgotten the connection, or hangs up.
    """

    def __init__(self, answers=1, *, hangs_up=False, pause=0.0):
        self.answers, self.hangs_up, self.pause = answers, hangs_up, pause
        self.connections = 0
        self.open = 0
        self.unanswered = 0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def where(self):
        return ClusterConnection("127.0.0.1", self._listening.getsockname()[1], "nix-cache")

    def close(self):
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self.open += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            answered = 0
            while connection.recv(65536):
                if answered >= self.answers:
                    self.unanswered += 1
                    if self.hangs_up:
                        break
                    continue
                answered += 1
                time.sleep(self.pause)
                connection.sendall(ANSWER)
        self.open -= 1


@pytest.fixture
def serving():
    with contextlib.ExitStack() as stack:

        def serve(*args, **options):
            server = Server(*args, **options)
            stack.callback(server.close)
            return server

        yield serve


def run(server, work):
    async def whole():
        client = Client(server.where)
        try:
            return await work(client)
        finally:
            client.close()

    return asyncio.run(asyncio.wait_for(whole(), 20))


async def ask(client, seconds=5.0, method="GET"):
    return (await client.request(Request(method, "/version"), Deadline.after(seconds))).body


def test_one_is_used_again_and_again(serving):
    server = serving(answers=100)

    async def work(client):
        for _ in range(5):
            assert await ask(client) == b"ok"

    run(server, work)
    assert server.connections == 1


@pytest.mark.parametrize("hangs_up", [False, True])
def test_one_that_has_died_is_replaced_well_within_the_time_of_a_client(serving, hangs_up):
    server = serving(hangs_up=hangs_up)

    async def work(client):
        await ask(client)
        began = time.monotonic()
        assert await ask(client) == b"ok"
        return time.monotonic() - began

    assert run(server, work) < 2.5  # of the 5 s that it has
    assert server.connections == 2


def test_of_several_that_have_died_one_alone_is_waited_for(serving):
    server = serving(pause=0.05)

    async def work(client):
        await asyncio.gather(*(ask(client) for _ in range(3)))
        for _ in range(3):
            assert await ask(client) == b"ok"

    run(server, work)
    # One connection is new each time here, and dies at once: three waits, and not six.
    assert server.unanswered == 3


def test_what_changes_something_is_not_asked_twice(serving):
    server = serving()

    async def work(client):
        await ask(client)
        with pytest.raises(HttpError) as caught:
            await ask(client, 1.0, "POST")
        return caught.value.kind

    assert run(server, work) == "silent"
    assert server.connections == 1


def test_a_server_that_is_slow_and_alive_is_waited_for(serving):
    server = serving(answers=100, pause=2 * http.STALE_SECONDS)

    async def work(client):
        assert await ask(client) == b"ok"
        assert await ask(client) == b"ok"

    run(server, work)


def test_no_more_are_kept_than_are_of_use_however_many_were_asked_over(serving):
    server = serving(answers=100, pause=0.2)

    async def work(client):
        await asyncio.gather(*(ask(client) for _ in range(40)))
        while server.open > http.MOST_KEPT:  # or `run` gives up
            await asyncio.sleep(0.01)

    run(server, work)
    assert server.connections == 40


def test_one_that_nobody_uses_is_closed(serving, monkeypatch):
    monkeypatch.setattr(http, "_KEPT", 0.1)
    server = serving(answers=100)

    async def work(client):
        await ask(client)
        while server.open:  # or `run` gives up
            await asyncio.sleep(0.01)

    run(server, work)
