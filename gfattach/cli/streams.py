"""Streams that cannot show every character: one is spelled in another way there, and is no failure."""

from __future__ import annotations

import codecs
import sys
from typing import TextIO

#: The name of the way of spelling, among Python's handlers of errors of encodings.
_SPELLED = "gfattach.spelled"

#: What this program's own lines hold beyond ASCII, and what stands for it.
_ASCII = {"·": "-", "✓": "+", "✗": "x", "…": "...", "–": "-"}

#: What the checklist on a terminal draws.
_DRAWN = "✓✗·⠋"


def make_writable() -> None:
    """Have both output streams take every text: paths are bytes, and a locale may know ASCII alone.

    A byte of a path that is no text goes out as that byte; any other character that the stream's encoding
    lacks goes out by its number, as Python writes it.
    """
    codecs.register_error(_SPELLED, _spelled)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_SPELLED)


def can_draw(stream: TextIO) -> bool:
    """Whether the encoding of `stream` has what the checklist on a terminal draws."""
    try:
        _DRAWN.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def _spelled(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"".join(_one(each) for each in error.object[error.start : error.end]), error.end


def _one(character: str) -> bytes:
    if "\udc80" <= character <= "\udcff":  # os.fsdecode made it of a byte
        return bytes([ord(character) - 0xDC00])
    return _ASCII.get(character, character).encode("ascii", "backslashreplace")
