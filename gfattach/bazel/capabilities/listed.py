"""The list of a Bazel's flags: `bazel help flags-as-proto`, one answer for all that it knows by name.

It is the base64 of bazel_flags.proto's FlagCollection, and has undocumented flags too (asked of 2.1.0, 4.2.3
and 7.7.1). An old name of a flag is not in it, and is taken all the same.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping

from msgspec import Struct

from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.wire.message import WireError, fields, number, text, varint

#: Fields of FlagInfo: its name, whether `--noNAME` is known too, the commands that take it.
_NAME, _NEGATIVE, _COMMAND = 1, 2, 4

#: A field with a length.
_LENGTH = 2


class ListedFlag(Struct, frozen=True):
    """A flag by its commands, and whether it has a negative form."""

    negatable: bool
    commands: frozenset[str]


def listed_flags(server: Server, deadline: Deadline) -> Mapping[str, ListedFlag]:
    """The flags that the Bazel of `server` lists, by name; none where it does not say them.

    Raises BazelError when it crashes or hangs, and StorageError.
    """
    answer = server.run("help", ["flags-as-proto"], deadline)
    try:
        data = base64.b64decode(answer.stdout.strip(), validate=True) if answer.good else b""
        return dict(_flag(data, *place) for place in _parts(data, 0, len(data), 1))
    except (binascii.Error, WireError, IndexError, ValueError):  # no Bazel answers so
        return {}


def takes(listed: Mapping[str, ListedFlag], flag: str, command: str = "") -> bool:
    """Whether `flag`, as it would stand on a command line, is among them, for `command` if one is named."""
    name, sign, _ = flag.removeprefix("--").partition("=")
    found = listed.get(name)
    if found is None and not sign:
        found = listed.get(name.removeprefix("no"))
        found = found if found is not None and found.negatable else None
    return found is not None and (not command or command in found.commands)


def _flag(data: bytes, at: int, end: int) -> tuple[str, ListedFlag]:
    found = fields(data, at, end)
    commands = (data[start:stop].decode() for start, stop in _parts(data, at, end, _COMMAND))
    return text(data, found, _NAME), ListedFlag(number(found, _NEGATIVE) != 0, frozenset(commands))


def _parts(data: bytes, at: int, end: int, field: int) -> Iterator[tuple[int, int]]:
    """Where each content of the repeated `field` is, in a message whose other fields are short or have a
    length.
    """
    while at < end:
        tag, at = varint(data, at)
        size, at = varint(data, at)
        if tag & 7 == _LENGTH:
            if tag >> 3 == field:
                yield at, at + size
            at += size
        elif tag & 7:
            raise WireError(f"a field of the kind {tag & 7}")
