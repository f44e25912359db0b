"""Messages behind their lengths, as Bazel's binary logs hold them: a varint, then that many bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

#: Bytes that are asked of a source at a time: what stays in a processor's cache.
PIECE = 128 * 1024

#: Bytes of one message beyond which it is none: no entry of a log comes near.
MESSAGE_LIMIT = 64 * 1024 * 1024


class DelimitedError(ValueError):
    """What is read is no sequence of messages."""


class TruncatedError(DelimitedError):
    """The source ends inside a message."""


def messages(read: Callable[[int], bytes], first: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Every message that `read` (as a file's) gives: bytes that hold it, from where, to where; not copied.

    Of `first`, only those that begin with that byte. Memory is bounded by the largest message. Raises
    TruncatedError where the source ends inside one, and DelimitedError for a length that none has.
    """
    buffer, position, length = b"", 0, 0
    while True:
        with contextlib.suppress(IndexError):  # the buffer ends inside a length
            while True:  # most lengths have one byte or two
                start = position + 1
                if (size := buffer[position]) > 0x7F:
                    if (high := buffer[start]) > 0x7F:
                        break
                    start += 1
                    size += (high << 7) - 0x80
                end = start + size
                if end > length:
                    break
                if size and (first is None or buffer[start] == first):
                    yield buffer, start, end
                position = end
        size, start = _length(buffer, position)
        if size > MESSAGE_LIMIT:
            raise DelimitedError(f"a message of {size} bytes")
        end = start + size
        if end <= length:
            if size and (first is None or buffer[start] == first):
                yield buffer, start, end
            position = end
            continue
        more = read(max(PIECE, end - length))
        if not more:
            if position == length:
                return
            raise TruncatedError("it ends inside a message")
        buffer, position = buffer[position:] + more, 0
        length = len(buffer)


def _length(buffer: bytes, position: int) -> tuple[int, int]:
    """The length at `position`, and where it ends: beyond the buffer if that ends inside it."""
    size, shift = 0, 0
    for at in range(position, len(buffer)):
        size |= (buffer[at] & 0x7F) << shift
        if buffer[at] < 0x80:
            return size, at + 1
        shift += 7
        if shift > 28:
            raise DelimitedError("a length of more than five bytes")
    return 0, len(buffer) + 1
