"""HTTP with an API server as kubectl speaks it: the Host header, servers that are none, and Retry-After."""

import asyncio
import json
import time
from contextlib import contextmanager

import pytest

from gfattach.cluster.api.client import Api, ApiError
from gfattach.cluster.api.reviews import whoami
from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.cluster.wire.http import Client, Request, Response, pause_of, request
from gfattach.cluster.wire.portforward import open_channel
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from tests.harness.cluster.dials import to
from tests.harness.machine import faulty_servers as faults


def reply(status, body=b"", *headers, kind="application/json"):
    lines = [f"HTTP/1.1 {status} x", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode() + body


def status_object(code, reason):
    return reply(code, json.dumps({"kind": "Status", "code": code, "reason": reason}).encode())


VERSION = reply(200, json.dumps({"major": "1", "minor": "27", "gitVersion": "v1.27.3"}).encode())
REVIEW = reply(
    200,
    json.dumps({"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "developer"}}}).encode(),
)


@contextmanager
def serving(answer):
    """A server that answers with what `answer` makes of a request's first line, and keeps what it heard."""
    heard = []

    def handle(connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        heard.append(head.decode())
        connection.sendall(answer(head.split(b"\r\n", 1)[0].decode()))

    with faults.talking(handle) as port:
        yield port, heard


# The Host header: host alone where the port is the scheme's own (RFC 9110, 7.2, and Go's net/http).


@pytest.mark.parametrize(
    ("host", "port", "secure", "expected"),
    [
        ("api.example", 443, True, "api.example"),
        ("api.example", 6443, True, "api.example:6443"),
        ("api.example", 80, True, "api.example:80"),
        ("api.example", 80, False, "api.example"),
        ("api.example", 443, False, "api.example:443"),
        ("api.example", 8443, False, "api.example:8443"),
        ("fd00::1", 443, True, "[fd00::1]"),
        ("fd00::443", 443, True, "[fd00::443]"),
        ("fd00::1", 6443, True, "[fd00::1]:6443"),
        ("10.0.0.1", 443, True, "10.0.0.1"),
    ],
)
def test_the_host_header_leaves_the_schemes_own_port_out(host, port, secure, expected):
    from gfattach.tls.context import blind

    connection = ClusterConnection(host, port, "default", tls=blind() if secure else None)
    assert connection.host_header == expected


def test_the_host_header_goes_out_so_with_requests_and_with_forwards():
    with serving(lambda line: reply(404)) as (port, heard):
        connection = to(port, host="127.0.0.1")
        asyncio.run(request(connection, Request("GET", "/version"), Deadline.after(5)))
        with pytest.raises(ChannelError):
            asyncio.run(open_channel(connection, "n", "p", 80, Deadline.after(5)))
    assert all(f"\r\nhost: 127.0.0.1:{port}\r\n" in head.lower() for head in heard) and len(heard) == 2


# What is an API server: who answers with a resource or a Status object.


def person(answer):
    with serving(answer) as (port, _):
        return asyncio.run(whoami(Api(to(port)), Deadline.after(5)))


NOTHING = {
    "404 in text to everything": lambda line: reply(404, b"404 page not found\n", kind="text/plain"),
    "404 in HTML to everything": lambda line: reply(404, b"<html>not found</html>", kind="text/html"),
    "404 in JSON to everything": lambda line: reply(404, b'{"message":"no Route matched"}'),
    "404 without content": lambda line: reply(404),
    "403 of a web firewall": lambda line: reply(403, b"<html>denied</html>", kind="text/html"),
    "an empty object to everything": lambda line: reply(200, b"{}"),
    "another object to everything": lambda line: reply(200, b'{"status": "ok"}'),
    "404, and a page for its version": lambda line: (
        reply(200, b"<html>hello</html>", kind="text/html") if "/version" in line else reply(404)
    ),
    "404, and another product's version": lambda line: (
        reply(200, b'{"version": "2.1"}') if "/version" in line else reply(404)
    ),
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_a_web_server_is_no_api_server(answer):
    with pytest.raises(ClusterError) as failed:
        person(answer)
    assert failed.value.code == "cluster.api.unreadable"
    assert "no API server" in failed.value.fact or "before the API server" in failed.value.fact


@pytest.mark.parametrize(
    "refusal",
    [
        reply(404, b"404 page not found\n", kind="text/plain"),  # a group that it does not serve
        status_object(404, "NotFound"),
        status_object(403, "Forbidden"),
    ],
)
def test_an_api_server_that_cannot_say_who_this_is_is_one(refusal):
    assert not person(lambda line: VERSION if "/version" in line else refusal).known


def test_an_api_server_that_keeps_its_version_to_itself_is_one():
    forbidden = status_object(403, "Forbidden")
    plain = reply(404, b"404 page not found\n", kind="text/plain")
    assert not person(lambda line: forbidden if "/version" in line else plain).known


def test_an_api_server_says_who_this_is():
    assert person(lambda line: REVIEW).name == "developer"


# Retry-After.


def busy_first(times, refusal, then):
    asked = []

    def answer(line):
        asked.append(line)
        return refusal if len(asked) <= times else then

    return answer, asked


@pytest.mark.parametrize(
    ("status", "method"),
    [(429, "GET"), (503, "GET"), (500, "GET"), (429, "POST"), (503, "PATCH")],
)
def test_a_server_that_says_when_to_come_again_is_asked_again_then(status, method):
    answer, asked = busy_first(1, reply(status, b"", "Retry-After: 1"), VERSION)
    start = time.monotonic()
    with serving(answer) as (port, _):
        found = asyncio.run(request(to(port), Request(method, "/version"), Deadline.after(20)))
    assert (found.status, len(asked)) == (200, 2)
    assert time.monotonic() - start >= 1


def test_a_forward_waits_as_well():
    switched = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    answer, asked = busy_first(2, reply(429, b"", "Retry-After: 1"), switched)
    with serving(answer) as (port, _), pytest.raises(ChannelError) as failed:
        asyncio.run(open_channel(to(port), "n", "p", 80, Deadline.after(20)))
    assert (failed.value.code.rpartition(".")[2], len(asked)) == ("unauthorized", 3)


def test_a_kept_connection_waits_as_well():
    answer, asked = busy_first(2, reply(503, b"", "Retry-After: 1"), VERSION)

    async def ask(port):
        client = Client(to(port))
        try:
            return await Api(client.connection, client).get("/version", Deadline.after(20))
        finally:
            client.close()

    with serving(answer) as (port, _):
        assert asyncio.run(ask(port))["gitVersion"] == "v1.27.3"
    assert len(asked) == 3


def test_a_time_beyond_the_deadline_is_not_waited_for():
    with serving(lambda line: reply(503, b"", "Retry-After: 600")) as (port, heard):
        with pytest.raises(ApiError) as failed:
            asyncio.run(Api(to(port)).get("/version", Deadline.after(20)))
    assert failed.value.status == 503 and len(heard) == 1


@pytest.mark.parametrize(
    ("status", "said", "pause"),
    [
        (429, "2", 2.0),
        (503, " 3 ", 3.0),
        (502, "1", 1.0),
        (429, "0", 1.0),  # at once would be a loop
        (429, "", None),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", None),  # client-go reads no dates either
        (503, "-1", None),
        (503, "1.5", None),
        (429, "9" * 400, None),
        (200, "1", None),
        (404, "1", None),
        (401, "1", None),
    ],
)
def test_what_is_waited_for(status, said, pause):
    headers = {"retry-after": said} if said else {}
    assert pause_of(Response(status, headers, b""), Deadline.after(60)) == pause
