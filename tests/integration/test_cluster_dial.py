"""Reaching an API server: real TLS servers and real proxies, each wrong in one way."""

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from gfattach.cluster.connection import ClusterConnection, Proxy
from gfattach.cluster.dial import dial, dial_direct
from gfattach.cluster.dial_errors import DIAL_CODES, DialError
from gfattach.cluster.forward_errors import ChannelError
from gfattach.cluster.http import HttpError, request
from gfattach.cluster.portforward import open_channel
from gfattach.deadline import Deadline
from tests.integration import faults
from tests.integration.pki import DAY, Pki, answering, server_context

NAME = "api.test"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server(pki):
    """An API server's certificate for NAME, and an answer to every request."""
    with answering(server_context(pki.issue(NAME, "127.0.0.1"))) as port:
        yield port


def to(port, pki=None, *, host="127.0.0.1", server_name=NAME, client=None, **more):
    context = None
    if pki is not None:
        context = ssl.create_default_context(cafile=str(pki.ca))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
    return ClusterConnection(host, port, "default", tls=context, server_name=server_name, **more)


def status(connection, seconds=5.0):
    answer = asyncio.run(request(connection, "GET", "/version", deadline=Deadline.after(seconds)))
    return answer.status


def failure(connection, seconds=5.0):
    """The error of a dial, or of the request after it where the dial succeeds."""
    with pytest.raises(DialError) as failed:
        status(connection, seconds)
    assert failed.value.kind in DIAL_CODES
    assert failed.value.hints or failed.value.kind.startswith("proxy")
    return failed.value


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


# TCP.


def test_a_server_is_reached_and_answers(server, pki):
    assert status(to(server, pki)) == 404


def test_an_address_needs_no_server_name(server, pki):
    assert status(to(server, pki, server_name="")) == 404


def test_a_port_where_nothing_listens(pki):
    port = closed_port()
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
    assert time.monotonic() - start < 2


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
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", closed_port())),
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
    assert error.fact.endswith(f"is valid for {NAME}, 127.0.0.1, not for elsewhere.test")
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
        assert time.monotonic() - start < 2


def test_a_server_that_hangs_up_in_the_handshake(pki):
    with faults.talking(lambda connection: connection.recv(100)) as port:
        assert failure(to(port, pki)).code == "cluster.dial.tls-failed"


def test_a_name_that_no_certificate_can_have(server, pki):
    assert failure(to(server, pki, server_name="a..b")).code == "cluster.dial.tls-failed"


# HTTP.


def answer_with(words, connection_of=to, **more):
    with faults.talking(faults.saying(words)) as port:
        return asyncio.run(
            request(connection_of(port), "GET", "/", deadline=Deadline.after(more.pop("seconds", 5)), **more)
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
            request(to(port, authorization="Bearer se\ncret"), "GET", "/", deadline=Deadline.after(5))
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


# Proxies.


def pump(one, other):
    """Bytes both ways until either side ends."""

    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=copy, args=(other, one), daemon=True)
    thread.start()
    copy(one, other)
    thread.join(5)


def connect_proxy(seen, *, target=None, credentials=None, context=None):
    """An HTTP proxy that knows one name, NAME, which nobody else can resolve; `target` is its port."""

    def handle(connection):
        if context is None:
            talk(connection)
        else:
            with context.wrap_socket(connection, server_side=True) as secured:
                talk(secured)

    def talk(connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        lines = head.decode().split("\r\n")
        seen.append(lines[0])
        wanted = credentials and "Basic " + base64.b64encode(credentials.encode()).decode()
        if wanted and f"Proxy-Authorization: {wanted}" not in lines:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        if target is None:
            connection.sendall(b"HTTP/1.1 403 Forbidden by policy\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", target)) as upstream:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n")
            pump(connection, upstream)

    return faults.talking(handle)


def socks_proxy(seen, *, target=None, credentials=None):
    """A SOCKS5 proxy (RFC 1928, 1929) that resolves every name to `target`."""

    def exactly(connection, size):
        data = b""
        while len(data) < size:
            data += connection.recv(size - len(data))
        return data

    def handle(connection):
        methods = exactly(connection, exactly(connection, 2)[1])
        method = 2 if credentials else 0
        connection.sendall(bytes([5, method if method in methods else 255]))
        if method not in methods:
            return
        if credentials:
            user = exactly(connection, exactly(connection, 2)[1])
            password = exactly(connection, exactly(connection, 1)[0])
            good = (user + b":" + password).decode() == credentials
            connection.sendall(bytes([1, 0 if good else 1]))
            if not good:
                return
        kind = exactly(connection, 4)[3]
        host = exactly(connection, exactly(connection, 1)[0] if kind == 3 else {1: 4, 4: 16}[kind])
        seen.append((kind, host, int.from_bytes(exactly(connection, 2), "big")))
        if target is None:
            connection.sendall(b"\x05\x05\x00\x01" + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", target)) as upstream:
            connection.sendall(b"\x05\x00\x00\x03\x02hi\x00\x00")
            pump(connection, upstream)

    return faults.talking(handle)


def by(proxy, pki, **more):
    return to(6443, pki, host=NAME, server_name="", proxy=proxy, **more)


def test_an_http_proxy_resolves_the_name_and_carries_tls(server, pki):
    seen = []
    with connect_proxy(seen, target=server) as port:
        assert status(by(Proxy("http", "127.0.0.1", port), pki)) == 404
    assert seen == [f"CONNECT {NAME}:6443 HTTP/1.1"]


def test_an_https_proxy_is_tls_within_tls(server, pki, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
    context = server_context(pki.issue("localhost", "127.0.0.1"))
    with connect_proxy([], target=server, context=context) as port:
        assert status(by(Proxy("https", "127.0.0.1", port), pki)) == 404


def test_an_https_proxy_that_is_not_trusted(server, pki):
    with connect_proxy([], target=server, context=server_context(pki.issue("127.0.0.1"))) as port:
        error = failure(by(Proxy("https", "127.0.0.1", port), pki))
    assert error.code == "cluster.dial.tls-untrusted"
    assert f"127.0.0.1:{port}" in error.fact


@pytest.mark.parametrize("credentials", [None, "user:pa:ss"])
def test_a_socks5_proxy_resolves_the_name(server, pki, credentials):
    seen = []
    user, _, password = (credentials or "").partition(":")
    with socks_proxy(seen, target=server, credentials=credentials) as port:
        proxy = Proxy("socks5", "127.0.0.1", port, user or None, password or None)
        assert status(by(proxy, pki)) == 404
    assert seen == [(3, NAME.encode(), 6443)]


@pytest.mark.parametrize(("host", "kind"), [("127.0.0.1", 1), ("::1", 4)])
def test_a_socks5_proxy_is_given_an_address_as_one(server, pki, host, kind):
    seen = []
    with socks_proxy(seen, target=server) as port:
        connection = to(6443, pki, host=host, proxy=Proxy("socks5", "127.0.0.1", port))
        assert status(connection) == 404
    assert seen[0][0] == kind


@pytest.mark.parametrize(("scheme", "serve"), [("http", connect_proxy), ("socks5", socks_proxy)])
@pytest.mark.parametrize("given", [(None, None), ("user", "wrong")])
def test_a_proxy_that_wants_other_credentials(server, pki, scheme, serve, given):
    with serve([], target=server, credentials="user:right") as port:
        error = failure(by(Proxy(scheme, "127.0.0.1", port, *given), pki))
    assert error.code == "cluster.dial.proxy-auth"
    assert "wrong" not in error.fact


def test_a_proxys_credentials_are_sent(server, pki):
    with connect_proxy([], target=server, credentials="user:right") as port:
        assert status(by(Proxy("http", "127.0.0.1", port, "user", "right"), pki)) == 404


@pytest.mark.parametrize(
    ("scheme", "serve", "says"),
    [("http", connect_proxy, "403 Forbidden by policy"), ("socks5", socks_proxy, "connection refused")],
)
def test_a_proxy_that_does_not_connect(pki, scheme, serve, says):
    with serve([]) as port:
        error = failure(by(Proxy(scheme, "127.0.0.1", port), pki))
    assert error.code == "cluster.dial.proxy-failed"
    assert error.fact.endswith(says)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b""])
def test_a_proxy_that_is_none(pki, scheme, words):
    with faults.talking(faults.saying(words)) as port:
        assert failure(by(Proxy(scheme, "127.0.0.1", port), pki)).code == "cluster.dial.proxy-failed"


def test_a_proxy_that_is_not_there(pki):
    error = failure(by(Proxy("http", "127.0.0.1", closed_port()), pki))
    assert error.code == "cluster.dial.proxy-refused"
    assert "proxy" in error.fact


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_says_nothing(pki, scheme):
    with faults.talking(faults.silent) as port:
        error = failure(by(Proxy(scheme, "127.0.0.1", port), pki), 0.5)
    assert error.code == "cluster.dial.silent"


def test_the_names_of_a_wrong_certificate_are_asked_through_the_proxy_too(server, pki):
    with connect_proxy([], target=server) as port:
        error = failure(
            to(6443, pki, host="other.test", server_name="", proxy=Proxy("http", "127.0.0.1", port))
        )
    assert error.code == "cluster.dial.tls-name"
    assert NAME in error.fact


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
    time.sleep(0.2)
    assert open_now() <= before + 2
