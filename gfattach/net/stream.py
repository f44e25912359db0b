"""One connection as bytes: plain or TLS, over a socket that never blocks, driven by the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Sequence

from gfattach.core.deadline import Deadline
from gfattach.net.tls_layer import Source, Tls

#: Seconds that a connection that was closed is still read from, and what comes is thrown away. Closing a
#: socket with unread bytes in it resets the connection, and the peer may lose what was just sent to it.
_LINGER = 2.0

_RESET = struct.pack("ii", 1, 0)
_SCRATCH = 65536

#: Pieces that one call of sendmsg takes.
_PIECES = 64


class _Socket:
    """The source at the bottom."""

    def __init__(self, sock: socket.socket) -> None:
        self.eof = False
        self.more = False
        self._receive_into = sock.recv_into

    def receive_into(self, view: memoryview) -> int:
        """Read what is there."""
        try:
            count = self._receive_into(view)
        except (BlockingIOError, InterruptedError):
            return 0
        self.eof = not count
        return count


class Stream:
    """A connected socket, with TLS after `start_tls`. For one event loop, one reader and one writer.

    A connection below TLS twice (an https:// proxy before an https:// server) is `start_tls` twice.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self._source: Source = _Socket(sock)
        self._layers: list[Tls] = []
        self._descriptor = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._queue: deque[memoryview] = deque()
        self._drained: list[Callable[[], None]] = []
        self._reader: Callable[[], None] | None = None
        self._write_error: OSError | None = None
        self._closing = False
        self._closed = False
        self._waiting: list[Callable[[], None]] = []
        #: Why OpenSSL refused the certificate that a second opinion accepted (`gfattach.tls.second_opinion`).
        self.refusal: BaseException | None = None

    async def start_tls(self, context: ssl.SSLContext, name: str, deadline: Deadline) -> Tls:
        """Speak TLS from here on. Raises OSError (ssl.SSLError is one) and TimeoutError."""
        layer = Tls(self._source, context, name)
        try:
            while True:
                done = layer.handshake()
                if layer.outgoing:
                    self.put(layer.encrypt(()))
                if done:
                    break
                if not self.more:
                    await asyncio.wait_for(self.readable(), deadline.remaining())
        except ssl.SSLError:
            if layer.outgoing:  # an alert says why
                self.put(layer.encrypt(()))
            raise
        self._layers.insert(0, layer)
        self._source = layer
        return layer

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return bool(self._layers)

    @property
    def layers(self) -> Sequence[Tls]:
        """The layers of TLS, the innermost first."""
        return self._layers

    # Reading.

    @property
    def eof(self) -> bool:
        """Whether nothing will come any more; known once `receive_into` has returned 0."""
        return self._source.eof

    @property
    def more(self) -> bool:
        """Whether bytes are there that the event loop cannot see; known after `receive_into`."""
        return self._source.more

    def receive_into(self, view: memoryview) -> int:
        """Read what is there now, up to the size of `view`; 0 for nothing, or for the end (`eof`).

        Raises OSError (ssl.SSLError is one) once all bytes that came before it were returned.
        """
        if self._closed:
            return 0
        count = self._source.receive_into(view)
        if self._layers and self._layers[0].outgoing:  # an answer of TLS's own, as to new keys
            self.put(b"")
        return count

    def on_readable(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever bytes can be read; None ends that. Not called for `more`."""
        if self._closed or callback == self._reader:
            return
        self._reader = callback
        if callback is None:
            self._loop.remove_reader(self._descriptor)
        else:
            self._loop.add_reader(self._descriptor, callback)

    @property
    def watched(self) -> bool:
        """Whether a reader waits for what comes."""
        return self._reader is not None

    async def read(self, size: int = _SCRATCH) -> bytes:
        """The bytes that come next, at most `size`; b"" at the end. Raises OSError."""
        buffer = bytearray(size)
        while True:
            count = self.receive_into(memoryview(buffer))
            if count or self.eof or self._closed:
                return bytes(memoryview(buffer)[:count])
            if not self.more:
                await self.readable()

    async def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes. Raises EOFError, OSError."""
        data = b""
        while len(data) < size:
            part = await self.read(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    async def readable(self) -> None:
        """Wait until the event loop sees something to read, be it the end."""
        if self._closed:
            return
        ready = self._loop.create_future()
        self._waiting.append(wake := _waker(ready))
        self.on_readable(wake)
        try:
            await ready
        finally:
            self._waiting.remove(wake)
            if self._reader is wake:
                self.on_readable(None)

    # Writing.

    def put(self, *pieces: bytes | memoryview) -> bool:
        """Write what goes now and keep the rest for later; True when nothing is left.

        A piece may not be changed until `on_drained` calls. Failing is not raised: reading tells how a
        connection ended, and what the peer said before it ended has to be read first.
        """
        if self._closed or self._closing or self._write_error is not None:
            return not self._queue
        waiting = bool(self._queue)
        try:
            for layer in self._layers:
                pieces = (layer.encrypt(pieces),)
        except OSError as error:
            self._write_error = error
            return not waiting
        self._queue.extend(memoryview(piece) for piece in pieces if piece)
        return not waiting and self._flush()

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when all that was put is written, or never will be."""
        self._drained.append(callback)

    @property
    def write_error(self) -> OSError | None:
        """Why nothing can be written any more."""
        return self._write_error

    async def write(self, data: bytes | memoryview) -> None:
        """Write all of `data`. Raises OSError."""
        if self._closed or self._closing:
            raise ConnectionError("the connection is closed")
        if not self.put(data) and self._write_error is None:
            done = self._loop.create_future()
            self._waiting.append(wake := _waker(done))
            self.on_drained(wake)
            try:
                await done
            finally:
                self._waiting.remove(wake)
        if self._write_error is not None:
            raise self._write_error

    def _flush(self) -> bool:
        """Write from the queue until it is empty or the socket is full; True when it is empty."""
        queue = self._queue
        try:
            while queue:
                sent = (
                    self.socket.sendmsg(list(queue)[:_PIECES])
                    if len(queue) > 1
                    else self.socket.send(queue[0])
                )
                while queue and sent >= len(queue[0]):
                    sent -= len(queue.popleft())
                if sent:
                    queue[0] = queue[0][sent:]
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._descriptor, self._writable)
            return False
        except OSError as error:
            self._write_error = error
            queue.clear()
        return True

    def _writable(self) -> None:
        if self._closed or not self._flush():
            return
        self._loop.remove_writer(self._descriptor)
        callbacks, self._drained = self._drained, []
        for callback in callbacks:
            callback()
        if self._closing and not self._closed:
            self._say_end()

    # Ending.

    def end_writing(self) -> None:
        """Tell the peer that nothing more comes (TCP's half-close; with TLS there is none)."""
        if not self._layers and not self._closed:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def end_reading(self) -> None:
        """Let reading come to its end, whatever the peer does."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)

    def gone(self) -> bool:
        """Whether the peer has closed both ways. Only a unix socket can tell before something is sent."""
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return bool(poll.poll(0))

    def idle(self) -> bool:
        """Whether nothing has come, not even an end, and nothing waits to be written."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return not (self._closed or self.more or self._queue or poll.poll(0))

    def close(self) -> None:
        """Write what is left, say that it is the end, and close; on its own time, 2 s at most."""
        if self._closed or self._closing:
            return
        self._closing = True
        self._drained.clear()
        self.on_readable(None)
        self._loop.call_later(_LINGER, self.shut)
        if not self._queue:
            self._say_end()

    async def wait_closed(self) -> None:
        """Wait until a `close` is over; when this is cancelled, it is over at once."""
        if not self._closed:
            done = self._loop.create_future()
            self._waiting.append(wake := _waker(done))
            try:
                await done
            finally:
                self._waiting.remove(wake)
                self.shut()

    def abort(self) -> None:
        """Close at once; the peer sees a reset, never an orderly end."""
        if not self._closed:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.shut()

    def shut(self) -> None:
        """Close at once, in order if nothing is left to be written or read."""
        if self._closed:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._closed = True
        self._queue.clear()
        self.socket.close()
        for wake in self._waiting:
            wake()

    def _say_end(self) -> None:
        if self.eof or self._write_error is not None:
            self.shut()
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.on_readable(self._discard)
        self._discard()

    def _discard(self) -> None:
        # Below TLS: what comes is of no interest any more.
        try:
            while self.socket.recv_into(bytearray(_SCRATCH)):
                pass
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.shut()


def _waker(future: asyncio.Future[None]) -> Callable[[], None]:
    """What ends the wait for `future`, however often it is called."""

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    return wake
