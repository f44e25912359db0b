"""Reaching an API server through real proxies of all three kinds, each right, or wrong in one way."""

import base64
import contextlib
import socket
import threading

import pytest
from msgspec.structs import replace

from gfattach.net.proxy import Proxy
from gfattach.tls.context import blind
from tests.harness.certificates.pki import DAY, others, pki, server_context
from tests.harness.cluster.dials import NAME, failure, server, status, to
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.ports import free_port

__all__ = ["others", "pki", "server"]


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


def more(connection, size):
    """What comes next; ConnectionError at an end, which a client reaches that has given up."""
    if not (data := connection.recv(size)):
        raise ConnectionError
    return data


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
            head += more(connection, 1)
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
            data += more(connection, size - len(data))
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


def test_an_https_proxy_may_be_signed_by_the_clusters_authority(server, pki):
    with connect_proxy([], target=server, context=server_context(pki.issue("127.0.0.1"))) as port:
        assert status(by(Proxy("https", "127.0.0.1", port), pki)) == 404


def test_an_https_proxy_before_a_server_that_is_not_verified_has_to_be_trusted_by_the_machine(pki, others):
    """insecure-skip-tls-verify is said of the server: a cluster without authority vouches for no proxy."""
    with connect_proxy([], context=server_context(pki.issue("127.0.0.1"))) as port:
        error = failure(replace(by(Proxy("https", "127.0.0.1", port), pki), tls=blind()))
    assert error.code == "cluster.dial.tls-untrusted"


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        ({"start": -9 * DAY, "end": -2 * DAY}, "cluster.dial.tls-expired"),
        ({"start": 2 * DAY, "end": 9 * DAY}, "cluster.dial.tls-not-yet"),
    ],
)
def test_an_https_proxys_certificate_has_dates_whoever_signed_it(pki, dates, code):
    with connect_proxy([], context=server_context(pki.issue("127.0.0.1", **dates))) as port:
        assert failure(by(Proxy("https", "127.0.0.1", port), pki)).code == code


def test_an_https_proxys_certificate_has_to_be_for_its_name(pki):
    with connect_proxy([], context=server_context(pki.issue("elsewhere.test"))) as port:
        error = failure(by(Proxy("https", "127.0.0.1", port), pki))
    assert error.code == "cluster.dial.tls-name" and "the proxy 127.0.0.1" in error.fact


def test_an_https_proxy_that_is_not_trusted(server, pki, others):
    with connect_proxy([], target=server, context=server_context(others.issue("127.0.0.1"))) as port:
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
    error = failure(by(Proxy("http", "127.0.0.1", free_port()), pki))
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
