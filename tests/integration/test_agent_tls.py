"""A forward that ends TLS: clients in the clear here, a server with a real certificate there."""

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading

import pytest

from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health
from tests.harness.certificates.pki import DAY, Pki, pki, server_context
from tests.harness.cluster.agents import Carrier, connect, desk, drain, wait_for

__all__ = ["desk", "pki"]

NAME = "cache.example"
MIB = 1 << 20
SIZE = 64 * MIB + 12345


class TlsCarrier(Carrier):
    """A carrier behind TLS. `serve` is given the connection with TLS on it."""

    def __init__(self, serve, context):
        self._context = context
        super().__init__(serve)

    def _one(self, connection):
        try:
            with self._context.wrap_socket(connection, server_side=True) as session:
                super()._one(session)
        except OSError:  # a client that refused the certificate
            connection.close()
        self._open.discard(connection)


@pytest.fixture
def behind(desk, pki):
    """Makes a forward that ends TLS before a server that serves every client with `serve`; how it is."""
    open_servers = []

    def make(serve, *, pair=None, ca=None, newest=None, state="up"):
        context = server_context(pair or pki.issue(NAME), alpn=("http/1.1",), newest=newest)
        server = TlsCarrier(serve, context)
        open_servers.append(server)
        health = Health("http", "/status", tls=True, server_name=NAME, ca_file=ca or pki.ca)
        desk.register(ForwardSpec("ended", DirectUpstream("127.0.0.1", server.port), health, ends_tls=True))
        desk.wait(state, "ended")
        return desk.forward("ended")

    yield make
    for server in open_servers:
        server.close()


def stream_of(seed, size):
    """The same bytes each time, which do not compress and do not repeat at once."""
    block = hashlib.shake_256(seed).digest(MIB)
    whole, rest = divmod(size, MIB)
    for _ in range(whole):
        yield block
    yield block[:rest]


def digest(pieces):
    made = hashlib.sha256()
    for piece in pieces:
        made.update(piece)
    return made.digest()


def take(connection, size):
    """The digest of the next `size` bytes."""
    made = hashlib.sha256()
    while size:
        piece = connection.recv(min(size, MIB))
        assert piece, f"the end, {size} bytes early"
        made.update(piece)
        size -= len(piece)
    return made.digest()


def echo(connection, first):
    """Send back what comes, both directions at once, and end in order."""
    connection.sendall(first)
    left = 2 + SIZE - len(first)
    while left:
        piece = connection.recv(MIB)
        assert piece, f"the end, {left} bytes early"
        connection.sendall(piece)
        left -= len(piece)
    connection.unwrap()


@pytest.mark.parametrize("route", ["tcp", "unix"])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_more_than_64_mib_arrive_whole_each_way(behind, route, newest):
    forward = behind(echo, newest=newest)
    with connect(forward, route) as client:
        client.sendall(b"go")

        def send():
            for piece in stream_of(b"up", SIZE):
                client.sendall(piece)

        sender = threading.Thread(target=send)
        sender.start()
        assert take(client, 2 + SIZE) == digest([b"go", *stream_of(b"up", SIZE)])
        assert drain(client) == b""
        sender.join()


def test_a_client_that_does_not_read_holds_the_server_back_and_not_the_agent(behind, desk):
    """Bounded memory: the agent takes a buffer or two, and the rest waits at the server."""
    sent = []

    def flood(connection, first):
        connection.settimeout(30)
        for _ in range(256):
            connection.sendall(bytes(MIB))
            sent.append(MIB)
        connection.unwrap()

    forward = behind(flood)
    before = desk.status().rss_bytes
    with connect(forward, "tcp") as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"go")
        held = -1
        while held != len(sent):
            held = len(sent)
            threading.Event().wait(0.5)
        assert len(sent) < 64
        assert desk.status().rss_bytes - before < 16 * MIB
        assert take(client, 256 * MIB) == digest(bytes(MIB) for _ in range(256))


@pytest.mark.parametrize("fault", ["name", "authority", "expired", "plain"])
def test_a_server_that_is_not_the_one_is_refused_with_the_reason(behind, desk, pki, tmp_path, fault):
    served = []

    def serve(connection, first):
        served.append(first)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    other = Pki(tmp_path, "other root")
    if fault == "plain":
        server = Carrier(serve)
        health = Health("http", "/status", tls=True, server_name=NAME, ca_file=pki.ca)
        spec = ForwardSpec("ended", DirectUpstream("127.0.0.1", server.port), health, ends_tls=True)
        desk.register(spec)
        desk.wait("down", "ended")
        server.close()
        forward, said = desk.forward("ended"), "wrong version number"
    elif fault == "name":
        forward, said = behind(serve, pair=pki.issue("other.example"), state="down"), "hostname mismatch"
    elif fault == "authority":
        forward, said = behind(serve, ca=other.ca, state="down"), "unable to get local issuer"
    else:
        old = pki.issue(NAME, start=-3 * DAY, end=-DAY)
        forward, said = behind(serve, pair=old, state="down"), "certificate has expired"
    assert said in forward.last_error
    with connect(forward, "tcp") as client, pytest.raises(ConnectionError):
        client.sendall(b"a secret")
        client.recv(1)
        client.recv(1)
    assert not any(b"secret" in each for each in served)


def test_an_authority_that_is_rotated_is_trusted_as_soon_as_its_file_holds_it(behind, desk, pki, tmp_path):
    """By the agent that runs: it lives longer than many a certificate."""
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(Pki(tmp_path, "the root before").ca.read_bytes())
    forward = behind(lambda connection, first: connection.sendall(first), ca=authorities, state="down")
    authorities.write_bytes(pki.ca.read_bytes())
    desk.wait("up", "ended")
    with connect(forward, "tcp") as client:
        client.sendall(b"go")
        assert client.recv(2) == b"go"


HEAD = struct.pack(">I", 1000)


def announced_end(connection, first):
    """TLS's own word that it is the end, then TCP's: the orderly way."""
    connection.sendall(HEAD)
    connection.unwrap()


def bare_end(connection, first):
    """TCP's end without a word of TLS: what somebody on the way can forge."""
    connection.sendall(HEAD)
    connection.shutdown(socket.SHUT_RDWR)


def half_closed(connection, first):
    """The server ends its half in the middle of a record, and goes on listening."""
    connection.sendall(HEAD)
    raw = socket.socket(fileno=os.dup(connection.fileno()))
    raw.sendall(b"\x17\x03\x03\x40\x00only the beginning")
    raw.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        raw.recv(1)
    raw.close()


def reset(connection, first):
    connection.sendall(HEAD)
    threading.Event().wait(0.1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw = socket.socket(fileno=connection.detach())
    raw.close()


def garbage(connection, first):
    """A record that nobody with the keys has made."""
    connection.sendall(HEAD)
    raw = socket.socket(fileno=os.dup(connection.fileno()))
    raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
    with contextlib.suppress(OSError):
        raw.recv(1 << 16)
        raw.recv(1 << 16)
    raw.close()


def test_an_end_that_tls_announced_is_an_orderly_end_for_the_client(behind):
    with connect(behind(announced_end), "tcp") as client:
        client.sendall(b"go")
        assert drain(client) == HEAD


@pytest.mark.parametrize("end", [bare_end, half_closed, reset, garbage])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_any_other_end_resets_the_client_and_is_never_an_orderly_one(behind, end, newest):
    with connect(behind(end, newest=newest), "tcp") as client:
        client.sendall(b"go")
        got = b""
        with pytest.raises(ConnectionResetError):
            while piece := client.recv(1 << 16):
                got += piece
        assert HEAD.startswith(got)


def test_a_client_that_goes_away_ends_the_servers_connection_with_the_word_of_tls(behind):
    heard = []

    def listen(connection, first):
        with contextlib.suppress(OSError):
            heard.append(first + connection.recv(100))
            heard.append(connection.recv(100))  # raises unless the end was announced

    with connect(behind(listen), "unix") as client:
        client.sendall(b"go")
        threading.Event().wait(0.05)
        client.sendall(b"on")
        threading.Event().wait(0.1)
    wait_for(lambda: heard == [b"goon", b""])


def test_the_wire_behind_the_agent_holds_nothing_in_the_clear(desk, pki):
    """What a client says in the clear is on the way to the server under TLS only."""
    seen = bytearray()
    context = server_context(pki.issue(NAME), alpn=("http/1.1",))
    server = TlsCarrier(lambda connection, first: connection.sendall(first), context)
    tap = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                seen.extend(data)
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near, _ = tap.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", server.port))
                except OSError:
                    near.close()
                    raise
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    health = Health("http", "/status", tls=True, server_name=NAME, ca_file=pki.ca)
    desk.register(
        ForwardSpec("ended", DirectUpstream("127.0.0.1", tap.getsockname()[1]), health, ends_tls=True)
    )
    desk.wait("up", "ended")
    with connect(desk.forward("ended"), "tcp") as client:
        client.sendall(b"authorization: Bearer a-token-of-somebody")
        assert client.recv(100).endswith(b"a-token-of-somebody")
    assert b"a-token-of-somebody" not in seen
    tap.shutdown(socket.SHUT_RDWR)
    tap.close()
    server.close()
