"""What undoes the compressions of a binary cache, a piece at a time and in bounded memory.

A reader has `read(size)`, which gives at most `size` bytes and nothing only at the end. xz, bzip2
and gzip are in the standard library; zstd is from Python 3.14 on, and before that in its backport.
Brotli and what else Nix knows is not undone here.
"""

from __future__ import annotations

import bz2
import contextlib
import importlib
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from gfattach.nixcache.errors import Kind, NixCacheError

#: Bytes that are asked of a source at a time.
PIECE = 64 * 1024

#: Bytes that an xz stream may ask for to be decompressed; `xz -9` asks for 65 MiB.
XZ_MEMORY = 256 * 1024 * 1024


class Readable(Protocol):
    """A stream to read from; what it raises passes through."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class _Decoder(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def checkable(compression: str) -> bool:
    """Whether `opened` can undo `compression` on this machine."""
    return compression in ("none", *_DECODERS)


@contextlib.contextmanager
def opened(compression: str, source: Readable) -> Iterator[Readable]:
    """A reader of what `source` holds in `compression`.

    Its `read` raises NixCacheError of kind TRUNCATED or CORRUPT. Raises NixCacheError of kind
    COMPRESSION for one that is not `checkable`.
    """
    if compression == "none":
        yield source
    elif decoder := _DECODERS.get(compression):
        yield _Streams(compression, source, decoder)
    else:
        raise NixCacheError(Kind.COMPRESSION, f"{compression} cannot be decompressed on this machine")


def _truncated(compression: str) -> NixCacheError:
    return NixCacheError(Kind.TRUNCATED, f"the {compression} stream ends before its end")


def _corrupt(compression: str, reason: object) -> NixCacheError:
    return NixCacheError(Kind.CORRUPT, f"the {compression} stream is corrupt: {str(reason)[:200]}")


class _Gzip:
    """zlib's decompressor for one gzip member, with the face that those of xz and bzip2 have."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        # A full piece may leave output behind even when all input is used up.
        self.needs_input = len(piece) < max_length
        return piece


class _Streams:
    """One compressed stream after another, as parallel compressors write them."""

    def __init__(self, compression: str, source: Readable, new: Callable[[], _Decoder]) -> None:
        self._compression = compression
        self._source = source
        self._new = new
        self._decoder = new()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of the content; none at its end."""
        while True:
            data = b""
            if self._decoder.eof:
                data = self._beginning_of_next()
                if not data:
                    return b""
                self._decoder = self._new()
            elif self._decoder.needs_input:
                data = self._source.read(PIECE)
                if not data:
                    raise _truncated(self._compression)
            try:
                piece = self._decoder.decompress(data, size)
            except Exception as error:  # each library has errors of its own, and some raise OSError
                raise _corrupt(self._compression, error) from error
            if piece:
                return piece

    def _beginning_of_next(self) -> bytes:
        """What follows the stream that ended, past the zeros that xz may be padded with."""
        data = self._decoder.unused_data
        while True:
            data = data.lstrip(b"\0") if self._compression == "xz" else data
            if data:
                return data
            data = self._source.read(PIECE)
            if not data:
                return b""


def _zstd() -> Any:
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(module).ZstdDecompressor()


_DECODERS: Mapping[str, Callable[[], Any]] = {
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
    "bzip2": bz2.BZ2Decompressor,
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "zstd": _zstd,
}
