"""netrc, as curl reads it for Nix: whom it names, and an entry for a token.

Nix sends credentials from its `netrc-file` only, one file, matched by host name: `machine
host:port` never matches. Attic takes a token as the password of a basic authentication.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from msgspec import Struct

#: What is said as the user of a bare token; the caches that take tokens ignore it.
TOKEN_USER = "gfattach"

#: Bytes of a line that curl reads, its end too; it passes over a longer one without a word (7.88).
LINE_LIMIT = 4095

#: A word, or what stands in double quotes (curl 7.84 and later). A quotation ends on its line.
_WORDS = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<open>"[^\n]*+)|(?P<bare>\S++)', re.ASCII)

_KEYWORDS = ("machine", "login", "password", "account")


class Reading(Struct, frozen=True):
    """What a netrc is made of: the hosts that have entries, in order and in lower case, `default` as `*`.

    `problems` say what is no netrc, by line, and repeat no word of it: any of them may be a password.
    `broken` is the line at which curl gives up, and with it every request to whom no entry before it is for.
    """

    machines: tuple[str, ...]
    problems: tuple[str, ...]
    broken: int | None = None


def read(text: str) -> Reading:
    """Take a netrc apart as curl does: words parted by white space, `#` up to the end of its line, macros up
    to an empty line. Keywords and hosts may be in capitals (measured with 7.88).
    """
    found: list[str] = []
    problems: list[str] = []
    wants, macro = "", False
    for number, line in enumerate(text.split("\n"), 1):
        if macro:
            macro = line not in ("", "\r")
            continue
        for match in _WORDS.finditer(line):
            if match["open"] is not None:
                problems.append(f"line {number} opens a quotation that it does not close")
                return Reading(tuple(found), tuple(problems), number)
            word = match["quoted"] or match["bare"] or ""
            keyword = word.lower()
            if match["bare"] and word.startswith("#"):
                wants = ""
                break
            if wants:
                if wants == "machine":
                    found.append(keyword)
                wants = ""
            elif keyword == "macdef":
                macro = True
                break
            elif keyword == "default":
                found.append("*")
            elif keyword in _KEYWORDS:
                if keyword != "machine" and not found:
                    problems.append(f"line {number} has a {keyword} that belongs to no machine")
                wants = keyword
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
    """The line for one host. Raises ValueError, with the reason, for what curl could not read back."""
    for word in (host, login, password):
        if not word or any(character.isspace() or character in '"\\' for character in word):
            raise ValueError("white space, quotes and backslashes cannot be read back")
        if word.startswith("#"):
            raise ValueError("a # at the beginning of a word begins a comment")
    line = f"machine {host} login {login} password {password}\n"
    if len(line.encode("utf-8", "surrogateescape")) > LINE_LIMIT:
        raise ValueError(f"curl passes over a line of more than {LINE_LIMIT} bytes")
    return line


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
