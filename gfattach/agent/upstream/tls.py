"""TLS towards an upstream, as a client, over a channel to a pod or a TCP connection alike.

For the agent's own questions, and for clients of a forward that speak in plaintext: a relay moves bytes
through it as through a channel. An end that TLS did not announce is a loss, as is every failure of TLS: in
plaintext a client could not tell it from a clean shutdown.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gfattach.agent.model.spec import Health
from gfattach.agent.upstream.channel import READ_BYTES, Channel
from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.core.deadline import Deadline
from gfattach.net.tls_layer import Tls
from gfattach.tls.context import trusting


def context_for(health: Health) -> ssl.SSLContext:
    """Whom to trust, and what to speak, at the upstream that `health` describes. Raises OSError."""
    context = trusting(health.ca_file)
    context.set_alpn_protocols(["h2"] if health.kind == "grpc" else ["http/1.1"])
    return context


class Trust:
    """The context for an upstream, made anew when the file of its authorities is: they are rotated, and an
    agent lives long.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._file = health.ca_file or ssl.get_default_verify_paths().cafile
        self._context: ssl.SSLContext | None = None
        self._made_of: tuple[int, ...] | None = None

    def context(self) -> ssl.SSLContext:
        """The context as the file is now. Raises OSError (ssl.SSLError is one)."""
        stamp = self._stamp()
        if self._context is None or stamp != self._made_of:
            self._context, self._made_of = context_for(self._health), stamp
        return self._context

    def _stamp(self) -> tuple[int, ...] | None:
        if self._file is None:
            return None
        try:
            status = Path(self._file).stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def server_name(health: Health, authority: str) -> str:
    """The name that the certificate has to be for."""
    return health.server_name or authority.rpartition(":")[0].strip("[]")


class TlsChannel:
    """TLS to the server `name` over `below`, ready after `handshake`."""

    headroom = 0

    #: Many a server takes an end of writing for the end of the connection.
    half_close = False

    def __init__(self, below: Channel, context: ssl.SSLContext, name: str) -> None:
        self.stream = below.stream
        self.ended = False
        self.failure: ChannelError | None = None
        self._below = below
        self._name = name
        self._source = _Payloads(below)
        self._tls = Tls(self._source, context, name)
        self._error: OSError | None = None

    async def handshake(self) -> None:
        """Agree with the server. Raises OSError (ssl.SSLError is one) and ChannelError."""
        while True:
            try:
                done = self._tls.handshake()
            except ssl.SSLError:
                self._send(self._tls.encrypt(()))  # an alert says why
                if self._below.failure is not None:
                    raise self._below.failure from None
                raise
            self._send(self._tls.encrypt(()))
            if done:
                return
            if not self._source.more:
                await self.stream.readable()

    # For whoever moves bytes without waiting.

    @property
    def more(self) -> bool:
        """Whether `receive` would return more at once."""
        return self._tls.more and not self.ended

    def receive(self, buffer: memoryview) -> list[memoryview]:
        """What is there now, decrypted."""
        if self.ended:
            return []
        count = 0
        try:
            count = self._tls.receive_into(buffer)
        except OSError as error:
            self._error = error
            self._end(str(getattr(error, "reason", "") or error).replace("_", " ").lower())
        if self._tls.outgoing:  # an answer of TLS's own, as to new keys
            self._send(self._tls.encrypt(()))
        if self._tls.eof and not self.ended:
            self._end("" if self._tls.clean_shutdown else "it ended without a close_notify")
        return [buffer[:count]] if count else []

    def send_in_place(self, buffer: bytearray, length: int) -> bool:
        """Send buffer[:length], encrypted."""
        try:
            return self._send(self._tls.encrypt((memoryview(buffer)[:length],)))
        except OSError:
            return True  # reading tells how it ended

    def client_ended(self) -> None:
        """The client writes no more; the server cannot be told but by the end of all."""

    # For whoever waits.

    async def read(self) -> bytes:
        """Some bytes, b"" at the end. Raises OSError and ChannelError."""
        buffer = bytearray(READ_BYTES)
        while True:
            if payloads := self.receive(memoryview(buffer)):
                return bytes(payloads[0])
            if failure := self._error or self.failure:
                raise failure
            if self.ended:
                return b""
            if not self.more:
                await self.stream.readable()

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises OSError and ChannelError."""
        await self._below.write(self._tls.encrypt((data,)))

    async def keepalive(self) -> None:
        """As the channel below."""
        await self._below.keepalive()

    async def ping(self, deadline: Deadline) -> None:
        """As the channel below."""
        await self._below.ping(deadline)

    def close(self) -> None:
        """Say that it is the end, and close."""
        self.ended = True
        self._send(self._tls.close_notify())
        self._below.close()

    def abort(self) -> None:
        """Close at once."""
        self.ended = True
        self._below.abort()

    def _send(self, data: bytes) -> bool:
        """Hand `data` to the channel below, in a buffer with headroom before it."""
        if not data:
            return True
        buffer = bytearray(self._below.headroom)
        buffer += data
        return self._below.send_in_place(buffer, len(data))

    def _end(self, said: str) -> None:
        self.ended = True
        if said:
            lost = ChannelError("lost", f"the connection to {self._name} was lost: {said}")
            self.failure = self._below.failure or lost


class _Payloads:
    """What comes over a channel, as a source of bytes."""

    def __init__(self, channel: Channel) -> None:
        self.eof = False
        self.more = False
        self._channel = channel

    def receive_into(self, view: memoryview) -> int:
        """Read what is there, the payloads moved together."""
        channel, end = self._channel, 0
        for payload in channel.receive(view):
            start, end = end, end + len(payload)
            view[start:end] = payload
        self.eof = not end and channel.ended
        # An end that came with the last bytes is not seen by the event loop again.
        self.more = channel.more or (channel.ended and not self.eof)
        return end
