"""Conversations with a port of which nothing is known yet, over bare sockets.

Each has a connection of its own. What the endpoint's scheme promises is asked first; only when
that is not what is heard, the other questions follow, all at once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gfattach.core.deadline import Deadline
from gfattach.reapi.sniff import SniffResult, WireProtocol, classify, is_enough
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.tls import Tls, context
from gfattach.tls.fault import Fault, fault_of, words_of
from gfattach.tls.handshake import look
from gfattach.tls.inspection import Inspection
from gfattach.tls.route import to_host, to_socket

#: What an HTTP/2 client says first: the preface, and an empty SETTINGS frame (RFC 9113, 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

#: Seconds that a port gets for the first conversation, and again for those that follow it.
TALK_SECONDS = 3.0

#: Bytes of an answer that are read, the head of an HTTP answer and the beginning of its page.
ANSWER_BYTES = 4096


def listen_to(target: CacheTarget, path: str, deadline: Deadline) -> SniffResult:
    """What the port (or socket) of `target` speaks; `path` is what HTTP is asked for.

    Raises OSError when it cannot be connected to, and TlsFileError.
    """
    endpoint = target.endpoint
    promised = WireProtocol.HTTP2 if endpoint.grpc else WireProtocol.HTTP1
    sniffer = Sniffer(target, path, deadline)
    first = sniffer.tls() if endpoint.tls else sniffer.http2() if endpoint.grpc else sniffer.http1()
    if first is None:  # no TLS here
        others: list[Callable[[], SniffResult | None]] = [sniffer.http2, sniffer.http1]
    elif first.tls or (first.protocol is promised and first.status != 400):
        return first
    else:
        # An HTTP 400 in plain text may come from a server that wants TLS.
        others = [sniffer.blind_tls, sniffer.http1 if endpoint.grpc else sniffer.http2]
    with ThreadPoolExecutor(len(others)) as pool:
        asked = [pool.submit(question) for question in others]
        answers = [answer.result() for answer in asked]
    # What an HTTP/1 server says to its own language goes before what it says to a preface.
    candidates = [*answers, first] if endpoint.grpc else [first, *answers]
    return max((heard for heard in candidates if heard is not None), key=_tells)


_TELLS = (
    WireProtocol.CLOSED,
    WireProtocol.SILENT,
    WireProtocol.UNKNOWN,
    WireProtocol.HTTP1,
    WireProtocol.HTTP2,
    WireProtocol.TLS,
)


def _tells(heard: SniffResult) -> int:
    """How much an answer tells, for the choice between several."""
    return _TELLS.index(WireProtocol.TLS if heard.encrypted else heard.protocol)


class Sniffer:
    """The conversations that can be had with one port."""

    def __init__(self, target: CacheTarget, path: str, deadline: Deadline) -> None:
        endpoint = target.endpoint
        self._target = target
        self._deadline = deadline
        # Headers of the target are left out: nothing secret goes to a port that nobody knows yet.
        self._get = (
            f"GET {path} HTTP/1.1\r\nHost: {endpoint.authority}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        ).encode()

    def http2(self) -> SniffResult | None:
        """The HTTP/2 preface, in plain text."""
        return self._plain(PREFACE)

    def http1(self) -> SniffResult | None:
        """A GET, in plain text."""
        return self._plain(self._get)

    def tls(self) -> SniffResult | None:
        """A handshake that verifies, and within it what the scheme promises. None: no TLS is spoken."""
        try:
            heard = self._within_tls(PREFACE if self._target.endpoint.grpc else self._get)
            if heard.protocol is WireProtocol.CLOSED:
                # TLS 1.3 refuses a client after the handshake, and words of ours that are on their way
                # then make the refusal's reason be lost: listen once without a word.
                quiet = self._within_tls(b"")
                heard = heard if quiet.protocol is WireProtocol.SILENT else quiet
        except OSError as error:  # ssl.SSLError is one
            fault = fault_of(error)
            if fault is None:
                return None
            names = self._names() if fault is Fault.NAME else ()
            return SniffResult(WireProtocol.TLS, tls=Tls(fault=fault, detail=words_of(error), names=names))
        return heard

    def _within_tls(self, words: bytes) -> SniffResult:
        endpoint = self._target.endpoint
        talk = self._talk()
        trusting = context(self._target.tls, ("h2", "http/1.1") if endpoint.grpc else ("http/1.1",))
        with (
            self._connect(talk) as connection,
            trusting.wrap_socket(connection, server_hostname=endpoint.host) as session,
        ):
            agreed = Tls(alpn=session.selected_alpn_protocol())
            if endpoint.grpc and agreed.alpn != "h2":
                return SniffResult(WireProtocol.TLS, tls=agreed)
            return replace(_converse(session, words, talk), tls=agreed)

    def blind_tls(self) -> SniffResult | None:
        """A handshake that believes anything, only to see that TLS is spoken. None: it is not."""
        seen = self._look()
        return SniffResult(WireProtocol.TLS, tls=Tls(alpn=seen.alpn)) if seen.version else None

    def _names(self) -> tuple[str, ...]:
        """The names that the certificate is for: read only to say that another name was asked for."""
        certificate = self._look().certificate
        return () if certificate is None else certificate.names

    def _look(self) -> Inspection:
        return look(self._connect, Inspection(self._target.endpoint.host), self._talk(), ("h2", "http/1.1"))

    def _plain(self, words: bytes) -> SniffResult:
        talk = self._talk()
        with self._connect(talk) as connection:
            return _converse(connection, words, talk)

    def _talk(self) -> Deadline:
        return self._deadline.within(TALK_SECONDS)

    def _connect(self, talk: Deadline) -> socket.socket:
        return connect(self._target, talk)


def connect(target: CacheTarget, deadline: Deadline) -> socket.socket:
    """A connection to the target's socket, or else to its host and port. Raises OSError."""
    endpoint = target.endpoint
    route = to_host(endpoint.host, endpoint.port) if target.socket is None else to_socket(target.socket)
    return route(deadline)


def _converse(connection: socket.socket, words: bytes, talk: Deadline) -> SniffResult:
    """Say `words`, and classify what comes back once it is enough to tell, or no more comes in time.

    Raises ssl.SSLError for a TLS alert.
    """
    answer = b""
    try:
        connection.sendall(words)
        while len(answer) < ANSWER_BYTES and not is_enough(answer):
            connection.settimeout(max(0.01, talk.remaining()))
            more = connection.recv(ANSWER_BYTES)
            if not more:
                break
            answer += more
    except TimeoutError:
        return classify(answer or None)
    except ssl.SSLEOFError:
        return classify(answer)
    except ssl.SSLError:
        raise  # it says why
    except OSError:
        return classify(answer)
    return classify(answer)
