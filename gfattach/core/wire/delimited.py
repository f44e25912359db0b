"""Messages behind their lengths, as Bazel's binary logs hold them: a varint, then that many bytes."""

from __future__ import annotations

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
        try:
            while (size := buffer[position]) <= 0x7F:  # most lengths have one byte, and most are passed over
                end = position + 1 + size
                if end > length:
                    break
                if size and (first is None or buffer[position + 1] == first):
                    yield buffer, position + 1, end
                position = end
        except IndexError:
            pass
        start, size, shift = position, 0, 0
        try:
            size = buffer[position]
            position += 1
            if size > 0x7F:  # most lengths have one byte
                size &= 0x7F
                while True:
                    shift += 7
                    byte = buffer[position]
                    position += 1
                    size |= (byte & 0x7F) << shift
                    if byte < 0x80:
                        break
                    if shift > 28:
                        raise DelimitedError("a length of more than five bytes")
            end = position + size
            if end <= length:
                if size and (first is None or buffer[position] == first):
                    yield buffer, position, end
                position = end
                continue
        except IndexError:  # the buffer ends inside the length
            end = length + 1
        if size > MESSAGE_LIMIT:
            raise DelimitedError(f"a message of {size} bytes")
        more = read(max(PIECE, end - length))
        if not more:
            if start == length:
                return
            raise TruncatedError("it ends inside a message")
        buffer, position = buffer[start:] + more, 0
        length = len(buffer)
