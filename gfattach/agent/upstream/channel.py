"""The channel to an upstream: a websocket to a pod, or a TCP connection of this machine's.

Both are asked the same few things, and TLS can be laid over either (`gfattach.agent.upstream.tls`).
"""

from __future__ import annotations

from typing import Protocol

from gfattach.cluster.wire.relay import Direct, Remote
from gfattach.core.deadline import Deadline

#: Bytes that are read at once, of answers to small questions.
READ_BYTES = 16 * 1024


class Channel(Remote, Protocol):
    """One connection to an upstream: to speak to, or to relay to. Errors are OSError and ClusterError."""

    async def read(self) -> bytes:
        """Some bytes, b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`, as fast as it is taken."""
        ...

    async def keepalive(self) -> None:
        """Send what keeps idle timers on the path from cutting the channel, where that is possible."""
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
