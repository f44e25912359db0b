"""Buffers that are lent for the time of one callback, so that an idle connection holds none."""

from __future__ import annotations

#: Bytes of one buffer. Twice as much gains nothing that could be measured.
BUFFER = 128 * 1024

#: Buffers that are kept for the next one who asks.
_KEPT = 4

_kept: list[bytearray] = []


def take() -> bytearray:
    """A buffer with anything in it. In any thread."""
    try:
        return _kept.pop()
    except IndexError:
        return bytearray(BUFFER)


def give(buffer: bytearray) -> None:
    """Take a buffer back; no view of it may be used any more."""
    if len(_kept) < _KEPT:
        _kept.append(buffer)
