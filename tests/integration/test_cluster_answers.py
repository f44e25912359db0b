"""What a server answers that has been reached, and is or is no API server: bodies, upgrades, rubbish."""

import asyncio

import pytest

from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.cluster.wire.http import HttpError, Request, request
from gfattach.cluster.wire.portforward import open_channel
from gfattach.core.deadline import Deadline
from tests.harness.cluster.dials import to
from tests.harness.machine import faulty_servers as faults

# HTTP.


def answer_with(words, connection_of=to, **more):
    with faults.talking(faults.saying(words)) as port:
        return asyncio.run(
            request(connection_of(port), Request("GET", "/"), Deadline.after(more.pop("seconds", 5)), **more)
        )


def test_a_body_in_chunks_is_put_together():
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    answer = answer_with(body)
    assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"abcde", "b")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "unreadable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "unreadable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000, "large"),
        (b"", "lost"),
    ],
)
def test_an_answer_that_is_none_is_the_typed_error(words, kind):
    with pytest.raises(HttpError) as failed:
        answer_with(words, limit=1000)
    assert failed.value.kind == kind


def test_a_secret_in_a_header_that_cannot_be_sent_is_not_shown():
    with faults.talking(faults.silent) as port, pytest.raises(HttpError) as failed:
        asyncio.run(
            request(to(port, authorization="Bearer se\ncret"), Request("GET", "/"), Deadline.after(5))
        )
    assert "cret" not in f"{failed.value} {failed.value.hints}"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "upgrade"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 24\r\n\r\nUpgrade request required", "upgrade"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "upgrade"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "unauthorized"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: other\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n",
            "upgrade",
        ),
    ],
)
def test_an_upgrade_that_did_not_come_through(words, code):
    with faults.talking(faults.saying(words)) as port, pytest.raises(ChannelError) as failed:
        asyncio.run(open_channel(to(port), "n", "p", 80, Deadline.after(5)))
    assert failed.value.code == f"cluster.forward.{code}"
