"""What undoes the compressions of a binary cache, a piece at a time and in bounded memory.

A reader has `read(size)`, which gives at most `size` bytes and nothing only at the end. xz, lzma, bzip2,
gzip and deflate are in the standard library; zstd is from Python 3.14 on, and before that in its backport;
brotli is in a package. What else Nix knows (lz4, lzip, compress) is not undone here.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from gfattach.nixcache.errors import Kind, NixCacheError

#: Bytes that are asked of a source at a time.
PIECE = 64 * 1024

#: Names of a Content-Encoding that stand for none.
_PLAIN = frozenset({"", "none", "identity"})

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


def codings(header: str) -> tuple[str, ...]:
    """The compressions that the value of a Content-Encoding names, in the order in which they were applied.

    Names may be in capitals (RFC 9110, 8.4.1).
    """
    names = (name.strip().lower() for name in header.split(","))
    return tuple(name for name in names if name not in _PLAIN)


@contextlib.contextmanager
def decoded(names: Sequence[str], source: Readable) -> Iterator[Readable]:
    """A reader of what `source` holds within `names`, of `codings`. Raises as `opened` does."""
    with contextlib.ExitStack() as stack:
        for name in reversed(names):
            source = stack.enter_context(opened(name, source))
        yield source


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


class _Deflate(_Gzip):
    """The same for deflate, which is in the format of zlib and, of some servers, in none (RFC 9110,
    8.4.1.2).
    """

    def __init__(self) -> None:
        super().__init__()
        self._decoder = zlib.decompressobj()
        self._begun = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """As zlib's."""
        try:
            piece = super().decompress(data, max_length)
        except zlib.error:
            if self._begun:
                raise
            self._decoder = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
            piece = super().decompress(data, max_length)
        self._begun = True
        return piece


class _Brotli:
    """brotli's decompressor with the face of the others. It gives more than it is asked for, 32 KiB at
    most.
    """

    unused_data = b""

    def __init__(self) -> None:
        self._decoder = importlib.import_module("brotli").Decompressor()
        self._left = b""

    @property
    def eof(self) -> bool:
        """Whether all has been given."""
        return not self._left and bool(self._decoder.is_finished())

    @property
    def needs_input(self) -> bool:
        """Whether nothing is left to be given of what came in."""
        return not self._left and bool(self._decoder.can_accept_more_data())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes; what is over stays for the next call."""
        if data or not self._left:
            self._left += self._decoder.process(data, output_buffer_limit=max_length)
        piece, self._left = self._left[:max_length], self._left[max_length:]
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


def _lzma(form: str) -> Any:
    import lzma

    return lzma.LZMADecompressor(format=getattr(lzma, form), memlimit=XZ_MEMORY)


_DECODERS: Mapping[str, Callable[[], Any]] = {
    "xz": lambda: _lzma("FORMAT_XZ"),
    "lzma": lambda: _lzma("FORMAT_ALONE"),
    "bzip2": lambda: importlib.import_module("bz2").BZ2Decompressor(),
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _zstd,
}
