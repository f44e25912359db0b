"""What bytes go over on the far side of a forward: a channel to a pod, or a TCP connection of this machine's.

Both are asked the same few things, and TLS can be laid over either, for the agent's own questions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gfattach.cluster.relay import Direct, Remote
from gfattach.deadline import Deadline

if TYPE_CHECKING:
    import ssl

#: Bytes that are read at once, of answers to small questions.
READ_BYTES = 16 * 1024


class Speech(Protocol):
    """What can be spoken to. Errors are OSError and ClusterError."""

    async def read(self) -> bytes:
        """Some bytes, b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`, as fast as it is taken."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...


class Channel(Speech, Remote, Protocol):
    """One connection to an upstream: to speak to, or to relay to."""

    async def keepalive(self) -> None:
        """Send what keeps idle timers on the way from cutting the channel, where that is possible."""
        ...

    async def ping(self, deadline: Deadline) -> None:
        """Raise when the other end does not answer, where that can be asked."""
        ...


class DirectChannel(Direct):
    """A TCP connection to an upstream; the kernel's keep-alive watches it."""

    async def read(self) -> bytes:
        """Some bytes, b"" at the end."""
        return await self.stream.read(READ_BYTES)

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        await self.stream.write(data)

    async def keepalive(self) -> None:
        """Nothing: what flows here is the client's alone."""

    async def ping(self, deadline: Deadline) -> None:
        """Nothing: TCP has no question to ask."""


class TlsChannel:
    """TLS, as a client, over another channel. Only for small questions of the agent's own."""

    def __init__(self, below: Speech, context: ssl.SSLContext, server_name: str) -> None:
        import ssl

        self._below = below
        self._wants_more = ssl.SSLWantReadError
        self._at_end = ssl.SSLZeroReturnError
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self) -> None:
        """Agree with the server, or raise ssl.SSLError."""
        while True:
            try:
                self._tls.do_handshake()
                await self._flush()
                return
            except self._wants_more:
                await self._flush()
                await self._fill()

    async def read(self) -> bytes:
        """Some bytes, b"" at the end."""
        while True:
            try:
                return self._tls.read(READ_BYTES)
            except self._wants_more:
                await self._flush()
                await self._fill()
            except self._at_end:
                return b""

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._tls.write(data)
        await self._flush()

    def abort(self) -> None:
        """End it at once."""
        self._below.abort()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._below.write(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._below.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
