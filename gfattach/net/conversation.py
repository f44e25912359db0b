"""What a port of which nothing is known yet speaks, found out by talking to it over bare sockets.

Each question has a connection of its own. What the endpoint's scheme promises is asked first; only when
that is not what is heard, the other questions follow, all at once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.net.inspect import look
from gfattach.net.route import Route
from gfattach.net.sniff import PREFACE, SniffResult, WireProtocol, classify, is_enough
from gfattach.tls.fault import fault_of, words_of
from gfattach.tls.inspection import Inspection

#: Seconds that a port gets for the first conversation, and again for those that follow it.
TALK_SECONDS = 3.0

#: Bytes of an answer that are read, the head of an HTTP answer and the beginning of its page.
ANSWER_BYTES = 4096

#: What an answer says, by how much, for the choice between several.
_TELLS = (
    WireProtocol.CLOSED,
    WireProtocol.SILENT,
    WireProtocol.UNKNOWN,
    WireProtocol.HTTP1,
    WireProtocol.HTTP2,
    WireProtocol.TLS,
)


class Sniffer(Struct, frozen=True):
    """The questions that can be put to one port.

    `route` leads to it; `endpoint` says what its scheme promises; `path` is what HTTP is asked for; `context`
    verifies its certificate, where TLS is promised. Nothing secret is sent.
    """

    route: Route
    endpoint: Endpoint
    path: str
    deadline: Deadline
    context: ssl.SSLContext | None = None

    def heard(self) -> SniffResult:
        """What the port speaks. Raises OSError and DialError when it cannot be connected to."""
        endpoint = self.endpoint
        promised = WireProtocol.HTTP2 if endpoint.grpc else WireProtocol.HTTP1
        first = self._tls() if endpoint.tls else self._http2() if endpoint.grpc else self._http1()
        if first is None:  # no TLS here
            others: list[Callable[[], SniffResult | None]] = [self._http2, self._http1]
        elif first.tls or (first.protocol is promised and first.status != 400):
            return first
        else:
            # An HTTP 400 in plain text may come from a server that wants TLS.
            others = [self._any_tls, self._http1 if endpoint.grpc else self._http2]
        with ThreadPoolExecutor(len(others)) as pool:
            asked = [pool.submit(question) for question in others]
            answers = [answer.result() for answer in asked]
        # What an HTTP/1 server says to its own language goes before what it says to a preface.
        candidates = [*answers, first] if endpoint.grpc else [first, *answers]
        return max(
            (heard for heard in candidates if heard is not None),
            key=lambda heard: _TELLS.index(WireProtocol.TLS if heard.encrypted else heard.protocol),
        )

    def _http2(self) -> SniffResult | None:
        """The HTTP/2 preface, in plain text."""
        return self._plain(PREFACE)

    def _http1(self) -> SniffResult | None:
        """A GET, in plain text."""
        return self._plain(self._get)

    @property
    def _get(self) -> bytes:
        host = self.endpoint.authority
        return (
            f"GET {self.path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        ).encode()

    def _tls(self) -> SniffResult | None:
        """A handshake that verifies, and within it what the scheme promises. None: no TLS is spoken."""
        try:
            heard = self._within_tls(PREFACE if self.endpoint.grpc else self._get)
            if heard.protocol is WireProtocol.CLOSED:
                # TLS 1.3 refuses a client after the handshake, and bytes of ours that are in flight
                # then make the refusal's reason be lost: listen once without a word.
                quiet = self._within_tls(b"")
                heard = heard if quiet.protocol is WireProtocol.SILENT else quiet
        except OSError as error:  # ssl.SSLError is one
            fault = fault_of(error)
            if fault is None:
                return None
            code = getattr(error, "verify_code", 0)
            seen = Inspection(self.endpoint.host, fault=fault, detail=words_of(error), verify_code=code)
            return SniffResult(WireProtocol.TLS, tls=seen)
        return heard

    def _within_tls(self, words: bytes) -> SniffResult:
        endpoint, context = self.endpoint, self.context
        assert context is not None
        talk = self.deadline.within(TALK_SECONDS)
        with (
            self.route(talk) as connection,
            context.wrap_socket(connection, server_hostname=endpoint.host) as session,
        ):
            alpn, version = session.selected_alpn_protocol(), session.version() or ""
            offered = ("h2", "http/1.1") if endpoint.grpc else ()
            agreed = Inspection(endpoint.host, offered, version=version, alpn=alpn)
            if endpoint.grpc and agreed.alpn != "h2":
                return SniffResult(WireProtocol.TLS, tls=agreed)
            return replace(_converse(session, words, talk), tls=agreed)

    def _any_tls(self) -> SniffResult | None:
        """A handshake that believes anything, only to see that TLS is spoken. None: it is not."""
        blank = Inspection(self.endpoint.host)
        seen = look(self.route, blank, self.deadline.within(TALK_SECONDS), ("h2", "http/1.1"))
        return SniffResult(WireProtocol.TLS, tls=seen) if seen.version else None

    def _plain(self, words: bytes) -> SniffResult:
        talk = self.deadline.within(TALK_SECONDS)
        with self.route(talk) as connection:
            return _converse(connection, words, talk)


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
