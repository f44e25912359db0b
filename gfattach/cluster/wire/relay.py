"""Bytes both ways between a client and a pod (or another server), as fast as one thread can.

Nothing is awaited per frame: the event loop calls a pump when a socket is ready, and the pump reads
into a buffer and writes views of it on. A direction holds one buffer at most: while the other side
does not take it, nothing more is read. An idle relay holds none.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from msgspec import Struct

from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.net import buffers
from gfattach.net.stream import Stream

#: Seconds without a byte from the pod after which a client that has ended is taken to be gone, and is
#: reset in case it is not. Over TCP an end of writing looks like the end of all, until something is sent.
LINGER = 10.0


class Counters(Struct):
    """Payload bytes handed to the pod's connection, and to the client. Zero says: none at all."""

    to_pod: int = 0
    to_client: int = 0


class Remote(Protocol):
    """What a relay needs of the side that is not the client: PodChannel, Direct."""

    stream: Stream
    ended: bool
    failure: ChannelError | None
    headroom: int
    half_close: bool

    @property
    def more(self) -> bool:
        """Whether `receive` would return more at once."""

    def receive(self, buffer: memoryview) -> list[memoryview]:
        """The payloads that are there now, in views of `buffer`; sets `ended`."""

    def send_in_place(self, buffer: bytearray, length: int) -> bool:
        """Send buffer[headroom:headroom+length]; False: the buffer is needed until the stream is drained."""

    def client_ended(self) -> None:
        """The client writes no more."""

    def close(self) -> None:
        """Say that it is the end, and close."""

    def abort(self) -> None:
        """Close at once."""


class Direct:
    """A server that is reached without a pod: the bytes as they are. `name` is for errors."""

    headroom = 0
    half_close = True

    def __init__(self, stream: Stream, name: str) -> None:
        self.stream = stream
        self.ended = False
        self.failure: ChannelError | None = None
        self._name = name

    @property
    def more(self) -> bool:
        """Whether `receive` would return more at once."""
        return self.stream.more

    def receive(self, buffer: memoryview) -> list[memoryview]:
        """The bytes that are there now."""
        if self.ended:
            return []
        try:
            count = self.stream.receive_into(buffer)
        except OSError as error:
            self.ended = True
            said = (error.strerror or str(error)).lower()
            self.failure = ChannelError("lost", f"the connection to {self._name} was lost: {said}")
            return []
        self.ended = not count and self.stream.eof
        return [buffer[:count]] if count else []

    def send_in_place(self, buffer: bytearray, length: int) -> bool:
        """Send buffer[:length]."""
        return self.stream.put(memoryview(buffer)[:length])

    def client_ended(self) -> None:
        """Pass the end on; the server can still answer."""
        self.stream.end_writing()

    def close(self) -> None:
        """Close, in order."""
        self.ended = True
        self.stream.close()

    def abort(self) -> None:
        """Close at once."""
        self.ended = True
        self.stream.abort()


async def relay(client: socket.socket | Stream, remote: Remote, counters: Counters) -> None:
    """Move bytes both ways until an end, and close both sides in order; counts as it goes.

    Ends well when the remote side ended in order, all it sent being with the client, and when the
    client went away. Raises ChannelError when the remote side was lost: the client has got what came
    and is open still, and the caller resets it, because an orderly end would hide the loss. Cancelled,
    it leaves the client open too. The remote side is closed in every case.
    """
    stream = client if isinstance(client, Stream) else Stream(client)
    work = _Relay(stream, remote, counters)
    try:
        await work.run()
    except BaseException:
        remote.abort()
        raise
    finally:
        work.stop()
    stream.close()
    remote.close()
    try:
        await stream.wait_closed()
        await remote.stream.wait_closed()
    finally:
        stream.shut()
        remote.stream.shut()


class _Relay:
    """Two pumps. `down` moves what the remote side sends, `up` what the client sends."""

    def __init__(self, client: Stream, remote: Remote, counters: Counters) -> None:
        self._client = client
        self._remote = remote
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._down_buffer: bytearray | None = None
        self._up_buffer: bytearray | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._client_over = False
        self._downs = 0  # pieces of time in which something came down

    async def run(self) -> None:
        """Until both directions are over. Raises ChannelError."""
        self._read_down()
        self._read_up()
        await self._done

    def stop(self) -> None:
        """Take everything back from the event loop."""
        self._finish()
        for stream in (self._client, self._remote.stream):
            stream.on_readable(None)
        if self._linger is not None:
            self._linger.cancel()

    def _finish(self, error: Exception | None = None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)

    # From the remote side to the client.

    def _read_down(self) -> None:
        self._remote.stream.on_readable(self._down)
        self._loop.call_soon(self._down)

    def _down(self) -> None:
        try:
            self._move_down()
        except Exception as error:  # A defect: the event loop would note it, and nobody would hear the end.
            self._finish(error)

    def _move_down(self) -> None:
        if self._done.done() or self._down_buffer is not None:
            return
        remote = self._remote
        buffer = buffers.take()
        payloads = remote.receive(memoryview(buffer))
        written = True
        if payloads:
            self._downs += 1
            self._counters.to_client += sum(map(len, payloads))
            written = self._client.put(*payloads)
        if self._client.write_error is not None:
            buffers.give(buffer)
            self._finish()
        elif not written:
            # The client is slower: nothing is read until it has taken this.
            self._down_buffer = buffer
            self._client.on_drained(self._down_drained)
            remote.stream.on_readable(None)
        else:
            buffers.give(buffer)
            if remote.ended:
                self._finish(remote.failure)
            elif remote.more:
                self._loop.call_soon(self._down)

    def _down_drained(self) -> None:
        if self._done.done():
            return
        assert self._down_buffer is not None
        buffers.give(self._down_buffer)
        self._down_buffer = None
        if self._client.write_error is not None:
            self._finish()
        elif self._remote.ended:
            self._finish(self._remote.failure)
        else:
            self._read_down()

    # From the client to the remote side.

    def _read_up(self) -> None:
        self._client.on_readable(self._up)
        self._loop.call_soon(self._up)

    def _up(self) -> None:
        try:
            self._move_up()
        except Exception as error:
            self._finish(error)

    def _move_up(self) -> None:
        if self._done.done() or self._up_buffer is not None:
            return
        if self._remote.ended:  # What came before the end is still on its way to the client.
            self._client.on_readable(None)
            return
        client, remote = self._client, self._remote
        buffer = buffers.take()
        try:
            count = client.receive_into(memoryview(buffer)[remote.headroom :])
        except OSError:
            buffers.give(buffer)
            self._finish()  # The client reset its connection.
            return
        if not count:
            buffers.give(buffer)
            if client.eof:
                self._client_ended()
            return
        self._counters.to_pod += count
        if remote.send_in_place(buffer, count):
            buffers.give(buffer)
            if client.more:
                self._loop.call_soon(self._up)
        else:
            self._up_buffer = buffer
            client.on_readable(None)
            remote.stream.on_drained(self._up_drained)

    def _up_drained(self) -> None:
        if self._up_buffer is not None:
            buffers.give(self._up_buffer)
            self._up_buffer = None
        if not self._done.done():
            self._read_up()

    def _client_ended(self) -> None:
        client = self._client
        client.on_readable(None)
        if self._client_over:
            return
        self._client_over = True
        if client.gone():
            self._finish()
            return
        self._remote.client_ended()
        if not self._remote.half_close:
            self._watch(-1)

    def _watch(self, downs: int) -> None:
        """Take a client that has ended to be gone when nothing has come down for a while."""
        if self._downs == downs and self._down_buffer is None:
            # An orderly end could pass for the whole of an answer that never came.
            self._client.abort()
            self._finish()
        else:
            self._linger = self._loop.call_later(LINGER, self._watch, self._downs)
