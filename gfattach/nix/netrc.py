"""netrc, as curl reads it for Nix: whom it names, and an entry for a token.

Nix sends credentials from its `netrc-file` only, one file, matched by host name: `machine
host:port` never matches. Attic takes a token as the password of a basic authentication.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What is said as the user of a bare token; the caches that take tokens ignore it.
TOKEN_USER = "gfattach"

#: A word, or what stands in double quotes (curl 7.84 and later).
_WORDS = re.compile(r'"((?:[^"\\]|\\.)*+)"|(\S++)')


@dataclass(frozen=True)
class Reading:
    """What a netrc is made of: the hosts that have entries, in order, `default` as `*`.

    `problems` say what is no netrc, by line, and repeat no word of it: any of them may be a password.
    """

    machines: tuple[str, ...]
    problems: tuple[str, ...]


def read(text: str) -> Reading:
    """Take a netrc apart as curl does: words parted by white space, `#` lines, macros up to a blank line."""
    found: list[str] = []
    problems: list[str] = []
    wants, macro = "", False
    for number, line in enumerate(text.splitlines(), 1):
        if macro:
            macro = bool(line.strip())
            continue
        if line.lstrip().startswith("#"):
            continue
        words = [quoted or bare for quoted, bare in _WORDS.findall(line)]
        for word in words:
            if wants:
                if wants == "machine":
                    found.append(word)
                wants = ""
            elif word == "macdef":
                macro = True
                break
            elif word == "default":
                found.append("*")
            elif word in ("machine", "login", "password", "account"):
                if word != "machine" and not found:
                    problems.append(f"line {number} has a {word} that belongs to no machine")
                wants = word
            else:
                problems.append(f"line {number} has a word that is no keyword")
    if wants:
        problems.append(f"it ends behind the keyword {wants}")
    return Reading(tuple(found), tuple(problems))


def machines(text: str) -> tuple[str, ...]:
    """The hosts that a netrc has entries for, in order; `default` counts as `*`."""
    return read(text).machines


def merge(existing: str, machine: str, token: str) -> str:
    """The netrc `existing`, untouched, behind an entry that gives `token` to `machine` alone.

    Ours is first: curl takes the first that matches, and a `default` or a macro without its blank line
    would swallow what stands behind. Raises ValueError for what curl could not read back.
    """
    return entry(machine, TOKEN_USER, token) + existing


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
