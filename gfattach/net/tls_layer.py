"""TLS as a layer above any source of bytes, without I/O of its own.

Not asyncio's transport, which copies every byte twice more, and not an SSLSocket: OpenSSL reads a
socket twice per record of 16 KiB at most (a server's frame of 32 KiB is three records), and this reads
once for up to a buffer. Measured on one connection: 0.42 against 0.54 CPU seconds per GiB received.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable
from typing import Protocol, cast

from gfattach.net import buffers
from gfattach.tls.context import chain_of

#: Bytes of the longest record (RFC 8446, 5.2). As much less is read as the beginning of one may be
#: waiting already, so that what comes out fits a buffer: otherwise every other read is of a few bytes.
_RECORD = 16384 + 256 + 5


class Source(Protocol):
    """Where bytes come from. After `receive_into`: `eof` says that nothing will come any more, `more`
    that bytes are there which the event loop cannot see."""

    eof: bool
    more: bool

    def receive_into(self, view: memoryview) -> int:
        """Read what is there, without waiting; 0 for nothing, or for the end. Raises OSError."""


class Tls:
    """The client's side of TLS over `below`."""

    def __init__(self, below: Source, context: ssl.SSLContext, name: str) -> None:
        self.eof = False
        self.more = False
        #: Whether the peer has said that it is the end: an end without that may be anybody's doing.
        self.clean_shutdown = False
        self._below = below
        self._held = False  # whether something is left to be decrypted
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=_as_bytes(name))
        self._error: OSError | None = None

    @property
    def certificate(self) -> dict[str, object]:
        """The peer's certificate, as Python shows it; empty where it was not verified."""
        return dict(self._tls.getpeercert() or {})

    def chain(self, kind: str) -> tuple[bytes, ...]:
        """The peer's chain (DER), its own certificate first: what it sent ("unverified"), or "verified"."""
        return chain_of(self._tls, kind)

    def handshake(self) -> bool:
        """Go on with the handshake as far as that goes; True when it is done. Raises ssl.SSLError."""
        if not self._fill() and self.eof:
            self._incoming.write_eof()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._held = self._incoming.pending > 0
        self.more = self._held or self._below.more
        return True

    def receive_into(self, view: memoryview) -> int:
        """Read what is there, decrypted. An end without TLS's own is an end too: it is for the
        protocol above to know whether it was clean. Raises OSError once all bytes before it were read.
        """
        if self._error is not None:
            raise self._error
        if not self._held and not self._fill():
            self.more = self._below.more
            return 0
        read, incoming = self._tls.read, self._incoming
        size, total = len(view), 0
        try:
            while total < size:
                # typeshed does not know that with a buffer the answer is a number.
                count = cast(int, read(size - total, view[total:] if total else view))
                if not count:
                    self.eof = self.clean_shutdown = True
                    break
                total += count
                if not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            if not total:
                raise
            self._error = error
        self._held = self._error is not None or (
            total == size and (incoming.pending > 0 or self._tls.pending() > 0)
        )
        self.more = self._held or self._below.more
        return total

    def encrypt(self, pieces: Iterable[bytes | memoryview]) -> bytes:
        """What has to be sent for these bytes. Raises ssl.SSLError."""
        write = self._tls.write
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[write(left) :]
        return self._outgoing.read()

    def close_notify(self) -> bytes:
        """What tells the peer that it is the end."""
        with contextlib.suppress(OSError):  # the peer's own end is not waited for
            self._tls.unwrap()
        return self._outgoing.read()

    @property
    def outgoing(self) -> bool:
        """Whether TLS itself has something to send: see `encrypt` of nothing."""
        return self._outgoing.pending > 0

    def _fill(self) -> bool:
        """Read once from below; whether anything came."""
        buffer = buffers.take()
        try:
            view = memoryview(buffer)[: buffers.BUFFER - _RECORD]
            count = self._below.receive_into(view)
            if count:
                self._incoming.write(view[:count])
            elif self._below.eof:
                self.eof = True
            return count > 0
        finally:
            buffers.give(buffer)


def _as_bytes(name: str) -> str | bytes:
    """A plain name as bytes: for text large tables of letters are loaded, which it has no use for."""
    plain = name.isascii() and all(0 < len(label) < 64 for label in name.split("."))
    return name.encode() if plain else name
