"""The wire format of protocol buffers, read in place: fields by number, nothing copied.

For logs of many messages, where the protobuf library's own start takes longer than the reading.
Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

#: Where the content of a field with a length is, from and to; the number itself for a varint.
Value = tuple[int, int] | int

#: A message's fields by number.
Fields = dict[int, Value]


class WireError(ValueError):
    """What is read is no message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, of ten bytes at most, and where it ends. Raises WireError and IndexError."""
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    for shift in range(7, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise WireError("a number of more than ten bytes")


def fields(data: bytes, at: int, end: int) -> Fields:
    """The fields of the message that `data` has from `at` to `end`, by number; the last of each, as ever.

    Raises WireError for what is no message.
    """
    found: Fields = {}
    try:
        while at < end:
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = varint(data, at - 1)
            kind = tag & 7
            if kind == 2:
                size = data[at]
                at += 1
                if size > 0x7F:
                    size, at = varint(data, at - 1)
                found[tag >> 3] = (at, at + size)
                at += size
            elif kind == 0:
                value = data[at]
                at += 1
                if value > 0x7F:
                    value, at = varint(data, at - 1)
                found[tag >> 3] = value
            elif kind == 1:
                at += 8
            elif kind == 5:
                at += 4
            else:
                raise WireError(f"a field of the kind {kind}")
    except IndexError:
        at = end + 1
    if at != end:
        raise WireError("a field that is longer than its message")
    return found


def part(found: Fields, number: int) -> tuple[int, int]:
    """Where the content of field `number` is; an empty place for none. Raises WireError for a number."""
    place = found.get(number, (0, 0))
    if isinstance(place, int):
        raise WireError(f"field {number} is a number")
    return place


def message(data: bytes, found: Fields, number: int) -> Fields:
    """The fields of the message in field `number`, none of one that is not there. Raises WireError."""
    return fields(data, *part(found, number)) if number in found else {}


def text(data: bytes, found: Fields, number: int) -> str:
    """The text in field `number`, "" for none. Raises WireError."""
    start, end = part(found, number)
    return data[start:end].decode("utf-8", "replace")


def number(found: Fields, field: int) -> int:
    """The number in field `field`, 0 for none; a negative one by its sign. Raises WireError for another."""
    value = found.get(field, 0)
    if not isinstance(value, int):
        raise WireError(f"field {field} is no number")
    return value - (1 << 64) if value >> 63 else value
