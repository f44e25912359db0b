"""Invocation policies: what a startup option of Bazel's sets that no other option can undo.

A policy is a message of `invocation_policy.proto`, as text or, in base64, as it is sent: Bazel takes for
base64 what can be (InvocationPolicyParser). Both are read as far as they say which flag gets which value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence

#: A message: the names of its fields, or their numbers, each with a text or a message.
Message = Sequence[tuple["str | int", "str | bytes | Message"]]

#: Names and numbers of the fields that matter. A value that is not allowed may be replaced by a new one.
_POLICY = ("flag_policies", 1)
_FLAG = ("flag_name", 1)
_SETS = {
    "set_value": "flag_value",
    3: 1,
    "disallow_values": "new_value",
    5: 3,
    "allow_values": "new_value",
    6: 3,
}

_TOKEN = re.compile(
    r"\s+|#[^\n]*|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|(?P<word>[\w.+-]+)|(?P<sign>[{}<>:\[\],;])"
)

#: How deep messages may lie in one another; those of a policy are three deep.
_DEPTH = 16


def settings(policy: str) -> Iterator[tuple[str, str]]:
    """Every flag that `policy` may set, with the value. Raises ValueError for what is no policy."""
    bare = policy.rstrip("=")  # Bazel needs no padding
    try:
        content = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        message = _Text(policy).message("", 0)
    else:
        message = _binary(content)
    for name, flag_policy in message:
        if name not in _POLICY:
            continue
        inner = _message(flag_policy)
        flags = [_text(value) for field, value in inner if field in _FLAG]
        values = [
            _text(value)
            for field, operation in inner
            if field in _SETS
            for key, value in _message(operation)
            if key == _SETS[field]
        ]
        yield from ((flag, value) for flag in flags for value in values)


def _message(value: str | bytes | Message) -> Message:
    if isinstance(value, bytes):
        return _binary(value)
    if isinstance(value, str):
        raise ValueError("a text where a message has to be")
    return value


def _text(value: str | bytes | Message) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ValueError("a message where a text has to be")
    return value


def _binary(content: bytes) -> Message:
    """The fields of a message as it is sent; numbers are left out, and what has a length stays as it is."""
    fields: list[tuple[str | int, str | bytes | Message]] = []
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(content, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _varint(content, at)
            fields.append((tag >> 3, content[at : at + length]))
            at += length
        else:
            raise ValueError("no message of that kind")
    if at > len(content):
        raise ValueError("cut off")
    return fields


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("cut off")
        byte, at = content[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("no number")


class _Text:
    """A message in the text format."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError("no text of a message")
            at = found.end()
            if found.lastgroup is not None:
                self._tokens.append((found.lastgroup, found[0]))
        self._tokens.reverse()

    def message(self, end: str, depth: int) -> Message:
        """The fields up to the sign `end`, "" for the end of the text."""
        if depth > _DEPTH:
            raise ValueError("too deep")
        fields: list[tuple[str | int, str | bytes | Message]] = []
        while self._peek() != end:
            kind, name = self._next()
            if kind != "word":
                raise ValueError("no name of a field")
            if self._peek() == ":":
                self._next()
            if self._peek() == "[":
                self._next()
                while self._peek() != "]":
                    fields.append((name, self._value(depth)))
                    if self._peek() == ",":
                        self._next()
                self._next()
            else:
                fields.append((name, self._value(depth)))
            if self._peek() in (",", ";"):
                self._next()
        if end:
            self._next()
        return fields

    def _value(self, depth: int) -> str | Message:
        kind, token = self._next()
        if token in ("{", "<"):
            return self.message("}" if token == "{" else ">", depth + 1)
        if kind == "word":
            return token
        if kind != "text":
            raise ValueError("no value")
        value = _unescaped(token)
        while self._tokens and self._tokens[-1][0] == "text":
            value += _unescaped(self._next()[1])
        return value

    def _peek(self) -> str:
        return self._tokens[-1][1] if self._tokens else ""

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            raise ValueError("cut off")
        return self._tokens.pop()


def _unescaped(token: str) -> str:
    return token[1:-1].encode("ascii", "backslashreplace").decode("unicode_escape")
