"""HTTP/1.1 with an API server: one request at a time, bounded, with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import h11

from gfattach import __version__
from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.dial import dial
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.value import Redacted
from gfattach.net.errors import tls_error
from gfattach.net.stream import Stream

#: Bytes that an answer's body may have, unless a caller says otherwise.
LIMIT = 8 * 2**20

#: Seconds after which a connection that was kept is not used again: load balancers forget idle ones.
_KEPT = 30.0

#: Connections that are kept: what one question about the pods of two forwards takes.
MOST_KEPT = 4

#: Seconds without an answer over a kept connection after which it is taken to be dead: something in between
#: may have forgotten it without a word.
STALE_SECONDS = 0.5

_READ = 65536


class Request(Redacted, frozen=True):
    """A question: `path` with its query, below the connection's own path."""

    REDACTED: ClassVar = frozenset({"body", "headers"})

    method: str
    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Response(Redacted, frozen=True):
    """An answer. The headers' names are in lower case; of one that comes twice the last is kept."""

    REDACTED: ClassVar = frozenset({"body"})

    status: int
    headers: Mapping[str, str]
    body: bytes


class Switched(Redacted, frozen=True):
    """An answer 101: the connection speaks another protocol now, and `rest` are its first bytes."""

    REDACTED: ClassVar = frozenset({"rest"})

    headers: Mapping[str, str]
    rest: bytes


class HttpError(ClusterError):
    """The server was reached and gave no answer: `cluster.http.silent`, `.lost`, `.unreadable`, `.large`."""

    def __init__(self, kind: str, fact: str, *hints: str) -> None:
        super().__init__(fact, *hints, code=f"cluster.http.{kind}")
        self.kind = kind


def pause_of(answer: Response | Switched, deadline: Deadline) -> float | None:
    """Seconds to wait until the same is asked again; None where `answer` stands.

    A server that is overloaded, or starts, says when (RFC 9110, 10.2.3): 429, or an error of its own with
    Retry-After, is waited for as kubectl (client-go) does it, for any method, because nothing was done yet. A
    time beyond `deadline` is not waited for.
    """
    if isinstance(answer, Switched) or (answer.status != 429 and answer.status < 500):
        return None
    said = answer.headers.get("retry-after", "").strip()
    if not said.isascii() or not said.isdigit():
        return None
    # One second at the least, so that a server which says 0 is not asked in a loop.
    seconds = max(1.0, float(said[:9]))
    return seconds if seconds < deadline.remaining() else None


async def request(
    connection: ClusterConnection, asked: Request, deadline: Deadline, limit: int = LIMIT
) -> Response:
    """One request over a connection of its own. Raises DialError, HttpError."""
    client = Client(connection)
    try:
        return await client.request(asked, deadline, limit)
    finally:
        client.close()


class Client:
    """Requests to one API server over connections that are kept, for one event loop. To be closed.

    `stale_after` is after how many seconds a kept connection that gives no whole answer is taken to be dead:
    long answers need more than short ones.
    """

    def __init__(self, connection: ClusterConnection, stale_after: float = STALE_SECONDS) -> None:
        self.connection = connection
        self._stale_after = stale_after
        self._idle: list[tuple[Stream, float]] = []
        self._closed = False

    def close(self) -> None:
        """Close the connections that are kept, and keep no others."""
        self._closed = True
        self._let_go()

    def _let_go(self, since: float = math.inf) -> None:
        """Close the connections that were used before the moment `since` and not again."""
        for stream, _ in [kept for kept in self._idle if kept[1] <= since]:
            stream.shut()
        self._idle = [kept for kept in self._idle if kept[1] > since]

    async def request(self, asked: Request, deadline: Deadline, limit: int = LIMIT) -> Response:
        """One request. What only reads is asked again when a kept connection turns out to be dead, and
        everything when the server says when (`pause_of`).

        Raises DialError, HttpError.
        """
        while True:
            answer = await self._once(asked, deadline, limit)
            if (pause := pause_of(answer, deadline)) is None:
                return answer
            await asyncio.sleep(pause)

    async def _once(self, asked: Request, deadline: Deadline, limit: int) -> Response:
        stream = self._take()
        if stream is not None:
            reads = asked.method in ("GET", "HEAD")
            try:
                stale_after = deadline.within(self._stale_after) if reads else deadline
                return await self._exchange(stream, asked, stale_after, limit)
            except HttpError as error:
                if error.kind not in ("lost", "silent") or not reads or deadline.expired:
                    raise
                self._let_go()  # the others went the same way
        stream = await dial(self.connection, deadline)
        return await self._exchange(stream, asked, deadline, limit)

    def _take(self) -> Stream | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            stream, since = self._idle.pop()
            if now - since < _KEPT and stream.idle():
                return stream
            stream.shut()
        return None

    async def _exchange(self, stream: Stream, asked: Request, deadline: Deadline, limit: int) -> Response:
        kept = False
        try:
            answer, kept = await exchange(stream, self.connection, asked, deadline, limit)
            if isinstance(answer, Switched):
                raise HttpError("unreadable", f"{self.connection.authority} changed the protocol unasked")
            return answer
        finally:
            if kept and not self._closed and len(self._idle) < MOST_KEPT:
                loop = asyncio.get_running_loop()
                self._idle.append((stream, now := loop.time()))
                loop.call_later(_KEPT, self._let_go, now)
            else:
                stream.shut()


async def exchange(
    stream: Stream, connection: ClusterConnection, asked: Request, deadline: Deadline, limit: int = LIMIT
) -> tuple[Response | Switched, bool]:
    """One request over `stream`: the answer, and whether the connection can be used again.

    Raises HttpError, and DialError where TLS failed only now (TLS 1.3 refuses a client's certificate late).
    """
    machine = h11.Connection(h11.CLIENT)
    seconds = deadline.remaining()
    what = f"{asked.method} {asked.path}"
    try:
        data = _outgoing(machine, connection, asked)
        return await asyncio.wait_for(_answer(stream, machine, data, limit), deadline.remaining())
    except TimeoutError:
        raise HttpError(
            "silent", f"no answer from {connection.authority} to {what} in {seconds:.3g} s"
        ) from None
    except _TooLarge:
        raise HttpError("large", f"the answer to {what} is larger than {limit} bytes") from None
    except h11.LocalProtocolError:
        # Its message may quote a header's value, and that may be secret.
        raise HttpError("unreadable", f"{what} cannot be sent: a header or the path is malformed") from None
    except h11.RemoteProtocolError as error:
        raise HttpError("unreadable", f"{connection.authority} does not answer in HTTP: {error}") from None
    except EOFError:
        raise HttpError("lost", f"{connection.authority} closed the connection without an answer") from None
    except OSError as error:
        if getattr(error, "reason", None):
            name = connection.server_name or connection.host
            raise tls_error(error, connection.authority, name, identified=connection.identified) from error
        said = (error.strerror or str(error)).lower()
        raise HttpError("lost", f"the connection to {connection.authority} was lost: {said}") from None


def _outgoing(machine: h11.Connection, connection: ClusterConnection, asked: Request) -> bytes:
    headers = [
        ("Host", connection.host_header),
        ("User-Agent", f"gfattach/{__version__}"),
        *connection.headers,
        *asked.headers,
    ]
    if asked.body is not None:
        headers.append(("Content-Length", str(len(asked.body))))
    target = f"{connection.path}{asked.path}"
    # Of a name that somebody is impersonated by more than ASCII is passed on, as kubectl does it.
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    data = machine.send(h11.Request(method=asked.method, target=target, headers=encoded)) or b""
    if asked.body:
        data += machine.send(h11.Data(data=asked.body)) or b""
    return data + (machine.send(h11.EndOfMessage()) or b"")


class _TooLarge(Exception):
    pass


async def _answer(
    stream: Stream, machine: h11.Connection, data: bytes, limit: int
) -> tuple[Response | Switched, bool]:
    # A server that refuses early answers and closes: reading shows what it said.
    with contextlib.suppress(OSError):
        await stream.write(data)
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = machine.next_event()
        if event is h11.NEED_DATA:
            data = await stream.read(_READ)
            if not data and head is None and not machine.trailing_data[0]:
                raise EOFError
            machine.receive_data(data)
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                return Switched(_lower(event.headers), bytes(machine.trailing_data[0])), False
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > limit:
                raise _TooLarge
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            kept = machine.our_state is h11.DONE and machine.their_state is h11.DONE
            return Response(head.status_code, _lower(head.headers), bytes(body)), kept
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise EOFError


def _lower(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
