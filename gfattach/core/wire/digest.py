"""Digests of a log in little memory: what its readers keep of each action."""

from __future__ import annotations

#: Digits of a digest that are kept: 64 bits, which no two actions of a build share.
KEY_DIGITS = 16


def key_of(digest: bytes) -> bytes:
    """The key of a digest, which is in hexadecimal: its first digits."""
    return digest[:KEY_DIGITS]
