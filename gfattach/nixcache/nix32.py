"""Base 32 as Nix writes it: an alphabet without e, o, u and t, the last bits first.

Source: the Nix manual, "Store path specification", and what `nix hash to-base32` prints.
"""

from __future__ import annotations

from gfattach.nixcache.errors import FormatError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

_VALUE = {character: value for value, character in enumerate(ALPHABET)}


def encoded_length(size: int) -> int:
    """How many characters `size` bytes take."""
    return (size * 8 + 4) // 5


def encode(data: bytes) -> str:
    """`data` in base 32. The bytes are one little-endian number; its highest digit comes first."""
    number = int.from_bytes(data, "little")
    return "".join(
        ALPHABET[(number >> 5 * place) & 31] for place in reversed(range(encoded_length(len(data))))
    )


def decode(text: str) -> bytes:
    """The bytes that `encode` made `text` of. Raises FormatError for anything that it cannot have made."""
    size = len(text) * 5 // 8
    if encoded_length(size) != len(text):
        raise FormatError(f"{_shown(text)} is not base 32: no number of bytes takes {len(text)} characters")
    number = 0
    for character in text:
        value = _VALUE.get(character)
        if value is None:
            raise FormatError(f"{_shown(text)} is not base 32: it holds {character!r}")
        number = number << 5 | value
    if number >> size * 8:
        raise FormatError(f"{_shown(text)} is not base 32: its first digit is too large")
    return number.to_bytes(size, "little")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
