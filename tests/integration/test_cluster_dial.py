"""Reaching an API server directly: real TLS servers, each wrong in one way."""

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest

from gfattach.cluster.wire.dial import dial, dial_direct
from gfattach.core.deadline import Deadline
from gfattach.net.errors import DialError
from tests.harness.certificates.pki import DAY, Pki, answering, pki, server_context
from tests.harness.cluster.agents import wait_for
from tests.harness.cluster.dials import NAME, failure, server, status, to
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.budget import budget
from tests.harness.machine.ports import free_port

__all__ = ["pki", "server"]


# TCP.


def test_a_server_is_reached_and_answers(server, pki):
    assert status(to(server, pki)) == 404


def test_an_address_needs_no_server_name(server, pki):
    assert status(to(server, pki, server_name="")) == 404


def test_a_port_where_nothing_listens(pki):
    port = free_port()
    error = failure(to(port, pki))
    assert error.code == "cluster.dial.refused"
    assert f"127.0.0.1:{port}" in error.fact


def test_a_name_that_has_no_address(pki):
    error = failure(to(443, pki, host="api.invalid"))
    assert error.code == "cluster.dial.dns"
    assert "api.invalid" in error.fact


def test_a_resolver_that_hangs_is_not_waited_for(pki, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(5))
    start = time.monotonic()
    assert failure(to(443, pki, host="api.invalid"), 0.3).code == "cluster.dial.dns"
    assert time.monotonic() - start < budget(2)


def test_a_listener_that_takes_no_more_connections_is_silent(pki):
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        error = failure(to(full.getsockname()[1], pki), 0.5)
    assert error.code == "cluster.dial.silent"
    assert error.fact.endswith("in 0.5 s")
    assert "VPN" in error.hints[0]


def test_a_network_without_a_way_to_it(pki):
    # Multicast takes no TCP: the kernel says so at once.
    assert failure(to(6443, pki, host="224.0.0.1")).code == "cluster.dial.unreachable"


def test_the_second_address_of_a_name_is_tried_when_the_first_is_silent_or_refuses(server, pki, monkeypatch):
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", free_port())),
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    assert status(to(server, pki, host="api.test")) == 404


def test_a_direct_connection_carries_bytes_both_ways():
    async def talk(port):
        stream = await dial_direct("127.0.0.1", port, Deadline.after(5))
        await stream.write(b"ping")
        heard = await stream.read_exactly(4)
        stream.shut()
        return heard

    with faults.talking(lambda connection: connection.sendall(connection.recv(4)[::-1])) as port:
        assert asyncio.run(talk(port)) == b"gnip"


# TLS.


def test_an_authority_that_is_not_trusted(server, tmp_path):
    error = failure(to(server, Pki(tmp_path, "root of others")))
    assert error.code == "cluster.dial.tls-untrusted"


def test_a_certificate_for_another_name_says_which_it_is_for(server, pki):
    error = failure(to(server, pki, server_name="elsewhere.test"))
    assert error.code == "cluster.dial.tls-name"
    assert error.fact.endswith(f"is for {NAME}, 127.0.0.1, and not for elsewhere.test")
    assert "tls-server-name" in error.hints[0]


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        ({"start": -9 * DAY, "end": -2 * DAY}, "cluster.dial.tls-expired"),
        ({"start": 2 * DAY, "end": 9 * DAY}, "cluster.dial.tls-not-yet"),
    ],
)
def test_a_certificate_of_another_time(pki, dates, code):
    with answering(server_context(pki.issue(NAME, **dates))) as port:
        error = failure(to(port, pki))
    assert error.code == code
    assert "clock" in error.hints[0]


def test_a_server_that_demands_a_client_certificate(pki):
    """TLS 1.3 refuses only when the handshake looks done to the client."""
    with answering(server_context(pki.issue(NAME), clients=pki.ca)) as port:
        assert failure(to(port, pki)).code == "cluster.dial.tls-client-certificate"
        assert status(to(port, pki, client=pki.issue("developer"))) == 404


def test_a_server_of_tls_1_2_that_demands_one_says_only_that_it_failed(pki):
    context = server_context(pki.issue(NAME), clients=pki.ca, newest=ssl.TLSVersion.TLSv1_2)
    with answering(context) as port:
        error = failure(to(port, pki))
        assert status(to(port, pki, client=pki.issue("developer"))) == 404
    assert error.code == "cluster.dial.tls-failed"
    assert "client certificate" in error.hints[0]


def test_a_port_that_speaks_no_tls(pki):
    with faults.talking(faults.saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        error = failure(to(port, pki))
    assert error.code == "cluster.dial.tls-plain"


def test_a_server_that_accepts_and_says_nothing(pki):
    with faults.talking(faults.silent) as port:
        start = time.monotonic()
        assert failure(to(port, pki), 0.5).code == "cluster.dial.silent"
        assert time.monotonic() - start < budget(2)


def test_a_server_that_hangs_up_in_the_handshake(pki):
    with faults.talking(lambda connection: connection.recv(100)) as port:  # type: ignore[arg-type]
        assert failure(to(port, pki)).code == "cluster.dial.tls-failed"


def test_a_name_that_no_certificate_can_have(server, pki):
    assert failure(to(server, pki, server_name="a..b")).code == "cluster.dial.tls-failed"


def test_no_descriptor_is_left_open(server, pki):
    async def many():
        for _ in range(20):
            stream = await dial(to(server, pki), Deadline.after(5))
            stream.shut()
            with contextlib.suppress(DialError):
                await dial(to(server, pki, server_name="elsewhere.test"), Deadline.after(5))

    def open_now():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_now()
    asyncio.run(many())
    wait_for(lambda: open_now() <= before + 2)  # the server is in this process, and closes its own
