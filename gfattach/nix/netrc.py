"""netrc, as curl reads it for Nix: whom it names, and an entry for a token.

Nix sends credentials from its `netrc-file` only, one file, matched by host name: `machine
host:port` never matches. Attic takes a token as the password of a basic authentication.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

#: What is said as the user of a bare token; the caches that take tokens ignore it.
TOKEN_USER = "gfattach"


def machines(text: str) -> tuple[str, ...]:
    """The hosts that a netrc has entries for, in order; `default` counts as `*`."""
    found: list[str] = []
    words = iter(text.split())
    for word in words:
        if word == "machine":
            found.append(next(words, ""))
        elif word == "default":
            found.append("*")
        elif word in ("login", "password", "account"):
            next(words, "")
    return tuple(name for name in found if name)


def entry(host: str, login: str, password: str) -> str:
    """The line for one host. Raises ValueError for what curl could not read back."""
    for word in (host, login, password):
        if not word or any(character.isspace() or character in '"\\' for character in word):
            raise ValueError("a netrc entry cannot hold white space, quotes or backslashes")
    return f"machine {host} login {login} password {password}\n"


def from_headers(host: str, headers: Iterable[tuple[str, str]]) -> tuple[str, tuple[str, ...]]:
    """A netrc that sends what `headers` would, and the names of those that it cannot send."""
    text, left = "", []
    for name, value in headers:
        login, password = _credentials(value) if name.lower() == "authorization" else ("", "")
        try:
            text += entry(host, login, password)
        except ValueError:
            left.append(name)
    return text, tuple(left)


def _credentials(value: str) -> tuple[str, str]:
    """Login and password of the value of an `Authorization` header; empty when it has none."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return TOKEN_USER, rest.strip()
    if scheme.lower() == "basic":
        try:
            login, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return "", ""
        return login or TOKEN_USER, password
    return "", ""
