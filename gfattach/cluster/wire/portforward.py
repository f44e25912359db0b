"""One TCP connection to a pod's port through the API server: a websocket with the protocol v4.channel.k8s.io.

There is no half-close: who sends a close frame hears no more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire import websocket
from gfattach.cluster.wire.dial import dial
from gfattach.cluster.wire.forward_errors import ChannelError, lost, refused, upgrade_error
from gfattach.cluster.wire.http import Request, Switched, exchange, pause_of
from gfattach.cluster.wire.port_messages import DATA, PROTOCOL, Incoming
from gfattach.cluster.wire.websocket import BINARY, CLOSE, HEADER, PING, WebSocketError
from gfattach.core.deadline import Deadline
from gfattach.net import buffers
from gfattach.net.stream import Stream

#: Bytes that are read at a time.
READ = 128 * 1024

#: Bytes that a server may send of itself while a channel is held: a greeting. All fit one buffer.
_EARLY_LIMIT = 64 * 1024

#: Seconds between an error's text and the end of the connection, whatever the server does.
_ERROR_LINGER = 5.0

#: The server's whole part of what a forward's beginning takes; its refusals are Status objects.
_BODY_LIMIT = 64 * 1024


async def open_channel(
    connection: ClusterConnection, namespace: str, pod: str, port: int, deadline: Deadline
) -> PodChannel:
    """A connection to `port` of the pod. Raises DialError, HttpError, ChannelError.

    That nobody listens in the pod shows only later, in what is read first.
    """
    while True:
        opened = await _upgrade(connection, namespace, pod, port, deadline)
        if isinstance(opened, PodChannel):
            return opened
        await asyncio.sleep(opened)


async def _upgrade(
    connection: ClusterConnection, namespace: str, pod: str, port: int, deadline: Deadline
) -> PodChannel | float:
    """The channel, or the seconds after which the API server wants to be asked again."""
    key = websocket.new_key()
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
    stream = await dial(connection, deadline)
    try:
        asked = Request("GET", path, headers=websocket.upgrade_headers(key, PROTOCOL))
        answer, _ = await exchange(stream, connection, asked, deadline, _BODY_LIMIT)
        where = f"{namespace}/{pod}"
        if not isinstance(answer, Switched):
            if (pause := pause_of(answer, deadline)) is not None:
                stream.shut()
                return pause
            raise upgrade_error(connection.authority, where, namespace, answer)
        try:
            websocket.check_upgrade(answer.headers, key, PROTOCOL)
        except WebSocketError as error:
            raise ChannelError(
                "upgrade", f"{connection.authority} did not open the forward: {error}"
            ) from None
        return PodChannel(stream, where, port, answer.rest)
    except BaseException:
        stream.abort()
        raise


class PodChannel:
    """A connection to one port of one pod (`pod` is "namespace/name"), for one event loop.

    For one reader: `read`, or a relay that takes `receive`. `ended` says that nothing more comes,
    `failure` then why, or None after an orderly end.
    """

    #: Bytes that a payload needs before it in a buffer that is sent from in place.
    headroom = HEADER + 1

    #: Whether the pod can be told that the client has ended, and still answer.
    half_close = False

    def __init__(self, stream: Stream, pod: str, port: int, rest: bytes = b"") -> None:
        self.stream = stream
        self.pod = pod
        self.port = port
        self.ended = False
        self.failure: ChannelError | None = None
        self._rest = rest
        self._early = bytearray()
        self._incoming = Incoming(port)
        self._heard: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    # For whoever moves bytes without waiting.

    @property
    def more(self) -> bool:
        """Whether `receive` would return more at once."""
        return bool(self._rest or self._early) or self.stream.more

    def receive(self, buffer: memoryview) -> list[memoryview]:
        """The payloads that are there now, in views of `buffer` that hold until it is used again."""
        if self._early:
            count = min(len(self._early), len(buffer))
            buffer[:count] = self._early[:count]
            del self._early[:count]
            return [buffer[:count]]
        return [] if self.ended else self._receive(buffer)

    def _receive(self, buffer: memoryview) -> list[memoryview]:
        if self._rest:
            count = min(len(self._rest), len(buffer))
            buffer[:count] = self._rest[:count]
            self._rest = self._rest[count:]
        else:
            try:
                count = self.stream.receive_into(buffer)
            except OSError as error:
                self._end(lost(self.pod, (error.strerror or str(error)).lower()))
                return []
            if not count:
                if self.stream.eof:
                    self._end(lost(self.pod, "it was cut without a close frame"))
                return []
        self._hear()
        incoming, payloads = self._incoming, list[memoryview]()
        try:
            incoming.feed(buffer[:count], payloads)
        except WebSocketError as error:
            self._end(lost(self.pod, f"what came is no websocket: {error}"))
        if incoming.answers:
            self.stream.put(*(self._frame(opcode, payload) for opcode, payload in incoming.answers))
            incoming.answers.clear()
        if incoming.closed is not None:
            self._closed(*incoming.closed)
        elif incoming.error and self._timer is None and not self.ended:
            self._timer = asyncio.get_running_loop().call_later(_ERROR_LINGER, self._no_close)
        return payloads

    def send_in_place(self, buffer: bytearray, length: int) -> bool:
        """Send buffer[headroom:headroom+length]; the buffer is changed. True when it can be used again.

        Otherwise it is needed until the stream is drained.
        """
        buffer[HEADER] = DATA
        end = self.headroom + length
        return self.stream.put(websocket.frame_in_place(BINARY, buffer, HEADER, end, self._mask()))

    def client_ended(self) -> None:
        """The client writes no more; the pod cannot be told."""

    def hold(self) -> None:
        """Listen as long as nobody reads, so that an end and a ping's answer are heard; until somebody does.

        What the server says of itself meanwhile is kept for `receive`. After too much of it nobody listens.
        """
        self.stream.on_readable(self._listen)
        self._listen()

    def _listen(self) -> None:
        buffer = buffers.take()
        while True:
            for payload in self._receive(memoryview(buffer)):
                self._early += payload
            if self.ended or len(self._early) > _EARLY_LIMIT:
                self.stream.on_readable(None)
                break
            if not self._rest and not self.stream.more:
                break
        buffers.give(buffer)

    # For whoever waits.

    async def read(self) -> bytes:
        """The bytes that come next; b"" after an orderly end. Raises ChannelError after any other."""
        buffer = bytearray(READ)
        while True:
            payloads = self.receive(memoryview(buffer))
            if payloads:
                return b"".join(payloads)
            if self.failure is not None:
                raise self.failure
            if self.ended:
                return b""
            if not self.more:
                await self.stream.readable()

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises ChannelError."""
        for start in range(0, len(data), READ):
            await self._write(self._frame(BINARY, bytes([DATA]) + data[start : start + READ]))

    async def keepalive(self) -> None:
        """Send a message without data: what starts the idle time of every hop again. Raises ChannelError.

        Pings do that for the hops of TCP only: the kubelet counts messages.
        """
        if self.ended:
            self._check()
        elif not self.stream.write_error:
            # Not waited for: while the socket is full of data, that keeps the connection alive.
            self.stream.put(self._frame(BINARY, bytes([DATA])))

    async def ping(self, deadline: Deadline) -> None:
        """Wait until the API server is heard, of whatever it says; somebody has to be reading meanwhile.

        Raises ChannelError when it is not. Returns at once when nobody reads, as while the client does
        not take what has come: nothing can be heard then.
        """
        if self.ended:
            return self._check()
        if not self.stream.watched:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heard = _settle(future)
        self._heard.append(heard)
        self.stream.put(self._frame(PING, b""))
        try:
            await asyncio.wait_for(future, deadline.remaining())
        except TimeoutError:
            raise lost(self.pod, "a ping was not answered in time") from None
        finally:
            with contextlib.suppress(ValueError):
                self._heard.remove(heard)
        self._check()

    def close(self) -> None:
        """Send what is left and a close frame, and close; on its own time."""
        self._stop_timer()
        if not self.ended:
            self.stream.put(self._frame(CLOSE, websocket.close_payload()))
        self.ended = True
        self._hear()
        self.stream.close()

    def abort(self) -> None:
        """Close at once, by a reset."""
        self._stop_timer()
        self.ended = True
        self._hear()
        self.stream.abort()

    def _check(self) -> None:
        """Raises ChannelError when the channel was lost."""
        if self.failure is not None:
            raise self.failure

    async def _write(self, data: bytes) -> None:
        if self.ended:
            raise self.failure or lost(self.pod, "it has ended")
        try:
            await self.stream.write(data)
        except OSError as error:
            raise lost(self.pod, (error.strerror or str(error)).lower()) from None

    def _frame(self, opcode: int, payload: bytes) -> bytes:
        return websocket.frame(opcode, payload, self._mask())

    def _mask(self) -> bytes:
        return websocket.NO_MASK if self.stream.secure else websocket.new_mask()

    def _closed(self, code: int, reason: str) -> None:
        orderly = code in (websocket.NORMAL, websocket.NO_CODE)
        said = f"closed with code {code}" + (f": {reason}" if reason else "")
        self._end(None if orderly else lost(self.pod, said))

    def _no_close(self) -> None:
        """An error's text was not followed by a close frame: let reading come to an end."""
        self.stream.end_reading()

    def _end(self, failure: ChannelError | None) -> None:
        self._stop_timer()
        self.ended = True
        if error := self._incoming.error:
            failure = refused(self.pod, self.port, error.decode("utf-8", "replace"))
        self.failure = failure
        self._hear()

    def _hear(self) -> None:
        """Something came from the server, or never will: pings are over."""
        heard, self._heard = self._heard, []
        for answered in heard:
            answered()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _settle(future: asyncio.Future[None]) -> Callable[[], None]:
    def heard() -> None:
        if not future.done():
            future.set_result(None)

    return heard
