"""Quoting: commands that are shown for a user to copy, and texts of others that a terminal must not obey.

A command that is shown is run as it stands. What comes from a site, a cluster or a path is one word of it,
whatever it holds. A text of others is shown without the characters that move a cursor, change the direction
of what is read, or hide (Unicode Technical Report 36, section 3; ECMA-48 for C0 and C1).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: C0 without tab and line feed, DEL and C1; marks of direction and isolates; what is invisible between
#: letters; line and paragraph separators; surrogates, which no terminal is sent; tag characters.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def command(*words: str | Path) -> str:
    """The command line of these words for a POSIX shell, as one line that can be shown and copied.

    A word that holds what a terminal would obey is written in `$'...'`, which bash, zsh and dash from
    0.5.13 on (POSIX.1-2024) read.
    """
    return " ".join(map(word, words))


def word(text: str | Path) -> str:
    """One word of a command line."""
    import shlex  # what starts and shows no command does without

    said = os.fspath(text)
    if not steering(said) and "\n" not in said and "\t" not in said:
        return shlex.quote(said)
    kept = (_escaped(byte) for byte in os.fsencode(said))
    return f"$'{''.join(kept)}'"


def _escaped(byte: int) -> str:
    if byte in b"\\'":
        return f"\\{chr(byte)}"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def steering(text: str) -> bool:
    """Whether `text` holds a character that a terminal obeys, or that hides or reorders what is read."""
    return _STEERING.search(text) is not None


def visible(text: str) -> str:
    """`text` with such characters as escapes (`\\x1b`, `\\u202e`): what is shown is what is there.

    A byte of a path that is no UTF-8 (`surrogateescape`, PEP 383) is shown as that byte, `\\xe9`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _STEERING.sub(lambda found: _name(found.group()), text)


def _name(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
