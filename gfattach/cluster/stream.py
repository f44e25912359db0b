"""One connection as bytes: plain or TLS, over a socket that never blocks, driven by the event loop.

TLS is done by the socket itself and not by asyncio's transport: that copies every byte through
two memory buffers and a protocol object. OpenSSL works here straight on the caller's buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable

#: Seconds that a closed connection is still read from, and what comes is thrown away. Closing a socket
#: with unread bytes in it resets the connection, and the peer may lose what was just sent to it.
_LINGER = 2.0

#: Seconds until another try, where TLS has to write before it can read, or the reverse.
_TLS_TURN = 0.01

_RESET = struct.pack("ii", 1, 0)
_SCRATCH = 65536


class Stream:
    """A connected socket; TLS where it is an SSLSocket whose handshake is done. For one event loop.

    At most one side reads and one writes at a time. After `receive_into`: `eof` says that nothing will
    come any more, `more` that bytes are there which the event loop cannot see.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.eof = False
        self.more = False
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._descriptor = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._queue: deque[memoryview] = deque()
        self._drained: Callable[[], None] | None = None
        self._reader: Callable[[], None] | None = None
        self._read_error: OSError | None = None
        self._write_error: OSError | None = None
        self._closing = False
        self._closed = False
        self._undone: list[Callable[[], None]] = []

    # Reading.

    def receive_into(self, view: memoryview) -> int:
        """Read what is there now, up to the size of `view`; 0 for nothing, or for the end (`eof`).

        Raises OSError (ssl.SSLError is one) once all bytes that came before it were returned.
        """
        if self._read_error is not None:
            raise self._read_error
        self.more = False
        size, total = len(view), 0
        try:
            while total < size and not self.eof:
                count = self.socket.recv_into(view[total:] if total else view)
                total += count
                self.eof = count == 0
                if self._tls is None:
                    return total
            self.more = self._tls is not None and self._tls.pending() > 0
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except ssl.SSLWantWriteError:
            self._later(_TLS_TURN)
        except InterruptedError:
            self._later(0)
        except ssl.SSLEOFError:
            self.eof = True
        except OSError as error:
            self._read_error = error
            if not total:
                raise
            self.more = True
        return total

    def on_readable(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever bytes can be read; None ends that. Not called for `more`."""
        if self._closed or callback == self._reader:
            return
        self._reader = callback
        if callback is None:
            self._loop.remove_reader(self._descriptor)
        else:
            self._loop.add_reader(self._descriptor, callback)

    async def read(self, size: int = _SCRATCH) -> bytes:
        """The bytes that come next, at most `size`; b"" at the end. Raises OSError."""
        buffer = bytearray(size)
        while True:
            count = 0 if self._closed else self.receive_into(memoryview(buffer))
            if count or self.eof or self._closed:
                return bytes(memoryview(buffer)[:count])
            await self.readable()

    async def readable(self) -> None:
        """Wait until there is something to read, be it the end."""
        if self.more or self.eof or self._read_error is not None or self._closed:
            return
        ready = self._loop.create_future()
        self._undone.append(wake := _waker(ready))
        self.on_readable(wake)
        try:
            await ready
        finally:
            self._undone.remove(wake)
            if self._reader is wake:
                self.on_readable(None)

    # Writing.

    def put(self, *pieces: bytes | memoryview) -> bool:
        """Write what goes now and keep the rest for later; True when nothing is left.

        A piece may not be changed until `drained` calls. Failing is not raised: reading tells how a
        connection ended, and what the peer said before it ended has to be read first.
        """
        if self._closed or self._closing or self._write_error is not None:
            return not self._queue
        waiting = bool(self._queue)
        self._queue.extend(memoryview(piece) for piece in pieces)
        return not waiting and self._flush()

    def on_drained(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once, when all that was put is written, or never will be."""
        self._drained = callback

    @property
    def queued(self) -> int:
        """Bytes that were put and are not written yet."""
        return sum(len(piece) for piece in self._queue)

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
            self._undone.append(wake := _waker(done))
            self.on_drained(wake)
            try:
                await done
            finally:
                self._undone.remove(wake)
        if self._write_error is not None:
            raise self._write_error

    def _flush(self) -> bool:
        """Write from the queue until it is empty or the socket is full; True when it is empty."""
        queue = self._queue
        try:
            while queue:
                sent = self._send(queue)
                while sent:
                    first = queue[0]
                    if sent < len(first):
                        queue[0] = first[sent:]
                        break
                    sent -= len(first)
                    queue.popleft()
        except (BlockingIOError, ssl.SSLWantWriteError, InterruptedError):
            self._loop.add_writer(self._descriptor, self._writable)
            return False
        except ssl.SSLWantReadError:
            self._loop.remove_writer(self._descriptor)
            self._loop.call_later(_TLS_TURN, self._writable)
            return False
        except OSError as error:
            self._write_error = error
            queue.clear()
        return True

    def _send(self, queue: deque[memoryview]) -> int:
        first = queue[0]
        if not first:
            queue.popleft()
            return 0
        if self._tls is None and len(queue) > 1:
            return self.socket.sendmsg(list(queue)[:16])
        return self.socket.send(first)

    def _writable(self) -> None:
        if self._closed or not self._flush():
            return
        self._loop.remove_writer(self._descriptor)
        callback, self._drained = self._drained, None
        if callback is not None:
            callback()
        if self._closing and not self._closed:
            self._say_end()

    # Ending.

    def end_writing(self) -> None:
        """Tell the peer that nothing more comes (TCP's half-close; with TLS there is none)."""
        if self._tls is None and not self._closed:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def gone(self) -> bool:
        """Whether the peer has closed both ways. Only a unix socket can tell before something is sent."""
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Write what is left, say that it is the end, and close; on its own time, 2 s at most."""
        if self._closed or self._closing:
            return
        self._closing = True
        self._drained = None
        self.on_readable(None)
        self._loop.call_later(_LINGER, self.shut)
        if not self._queue:
            self._say_end()

    def _say_end(self) -> None:
        if self.eof or self._write_error is not None:
            self.shut()
            return
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        self.on_readable(self._discard)
        self._discard()

    def _discard(self) -> None:
        try:
            # Below TLS: what comes is of no interest any more.
            while socket.socket.recv_into(self.socket, bytearray(_SCRATCH)):
                pass
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.shut()

    async def wait_closed(self) -> None:
        """Wait until a `close` is over; when this is cancelled, it is over at once."""
        if not self._closed:
            done = self._loop.create_future()
            self._undone.append(wake := _waker(done))
            try:
                await done
            finally:
                self._undone.remove(wake)
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
        self._wake()

    def _wake(self) -> None:
        for wake in self._undone:
            wake()

    def _later(self, seconds: float) -> None:
        if self._reader is not None:
            self._loop.call_later(seconds, self._again, self._reader)

    def _again(self, reader: Callable[[], None]) -> None:
        if self._reader is reader:
            reader()


def _waker(future: asyncio.Future[None]) -> Callable[[], None]:
    """What ends the wait for `future`, however often it is called."""

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    return wake
