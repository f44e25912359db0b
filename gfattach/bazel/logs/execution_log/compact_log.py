"""Reads the compact execution log: zstd around delimited entries, `--execution_log_compact_file`.

Entries for files and sets of inputs stand between the spawns; they are passed over by their first byte.
Of a spawn, hundreds of arguments are its bulk and little is its own: the bytes of its platform, and of its
mnemonic to its cacheability, are those of spawns before it, and are read once. Where they are not found, or
what is around them is not as Bazel orders it (by field number), the spawn is read field by field.

Field numbers: spawn.proto of Bazel 7.1 and later, ExecLogEntry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set

from gfattach.bazel.logs.execution_log.record import OTHER, Group, Groups, Kind, Spawn
from gfattach.core.wire.delimited import DelimitedError, messages
from gfattach.core.wire.digest import KEY_DIGITS, key_of
from gfattach.core.wire.message import Fields, WireError, fields, message, number, part, text, varint

#: The first byte of an entry that is a spawn, which has no number: field 7, with a length.
_SPAWN = 7 << 3 | 2

#: Fields of a spawn, with a length: arguments, variables, platform, label.
_ARGUMENT, _VARIABLE, _PLATFORM, _LABEL = (number << 3 | 2 for number in (1, 2, 3, 7))

#: The beginning of the digest, field 16 with a length.
_DIGEST = b"\x82\x01"

#: What an absolute path begins with.
_SLASH = ord("/")

#: What a digest begins with: its hash, field 1, of 64 digits.
_HASH = b"\x0a\x40"

#: What stands between platform and label: the numbers of two sets of inputs (fields 4 and 5) and outputs (6),
#: each a small message; then the label's tag (7) and the byte of its length.
_BEFORE_LABEL = re.compile(
    rb"(?:[\x20\x28][\x80-\xff]*[\x00-\x7f]|\x32(?:"
    + b"|".join(rb"\x%02x.{%d}" % (size, size) for size in range(1, 16))
    + rb"))*+\x3a[\x00-\x7f]",
    re.DOTALL,
).match

#: What a zstd stream begins with (RFC 8878, 3.1.1).
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def read_compact_log(read: Callable[[int], bytes], looked_for: str, labels: Set[str] = frozenset()) -> Groups:
    """The spawns of the decompressed log that `read` gives, those for `labels` with their own; `looked_for`
    is what `Spawn.carries` is about.

    Raises TruncatedError where the log ends inside an entry, and DelimitedError for what is no such log.
    """
    reader = _Reader(looked_for.encode(), labels)
    usual, read_any = reader.usual, reader.any
    try:
        for data, at, end in messages(read, _SPAWN):
            size, at = varint(data, at + 1)
            if at + size != end:
                raise WireError("a spawn that does not fill its entry")
            if not usual(data, at, end):
                read_any(data, at, end)
    except (WireError, IndexError) as error:
        raise DelimitedError("an entry is not as Bazel writes it") from error
    return reader.groups


class _Reader:
    """Groups spawns, and remembers what many have in common, as bytes."""

    def __init__(self, looked_for: bytes, labels: Set[str]) -> None:
        self.groups: Groups = {}
        self._looked_for = looked_for
        self._labels = {label.encode(): label for label in ("", *labels)}
        self._platform = b""
        #: By the bytes from mnemonic to cacheability, for spawns of the platform `_platform`.
        self._known: dict[bytes, Kind] = {}
        #: The groups by those bytes, label, program and whether they carry what is looked for.
        self._alike: dict[tuple[bytes, str, bytes, bool], Group] = {}

    def usual(self, data: bytes, at: int, end: int) -> bool:
        """Count the spawn from `at` to `end` by what is remembered; False where that does not do."""
        platform = self._platform
        if not platform or (split := data.rfind(platform, at, end)) < 0:
            return False
        found = _BEFORE_LABEL(data, split + len(platform), end)
        if found is None or (size := data[at + 1]) > 0x7F or data[at] != _ARGUMENT:
            return False
        label = found.end()
        middle = label + data[label - 1]
        digest = data.find(_DIGEST, middle, end)
        if digest < 0 or data[digest + 3 : digest + 5] != _HASH:
            return False
        alike = (
            data[middle:digest],
            self._labels.get(data[label:middle], OTHER),
            data[at + 2 : at + 2 + size] if data[at + 2] == _SLASH else b"",
            data.rfind(self._looked_for, at, split) >= 0,
        )
        group = self._alike.get(alike)
        if group is None:
            if (kind := self._known.get(alike[0])) is None:
                return False
            program = alike[2].decode("utf-8", "replace")
            group = self._alike[alike] = self._group(Spawn(kind, alike[1], program, alike[3]))
        group.count += 1
        group.actions.add(data[digest + 5 : digest + 5 + KEY_DIGITS])
        return True

    def any(self, data: bytes, at: int, end: int) -> None:
        """Count the spawn from `at` to `end`, whatever it is like. Raises WireError."""
        program, split = _command(data, at, end)
        found = fields(data, split, end)
        kind = Kind(
            text(data, found, 8),
            text(data, found, 11),
            number(found, 12) != 0,
            text(data, found, 10),
            number(found, 9),
            number(found, 13) != 0,
            number(found, 15) != 0,
            tuple(_properties(data, *part(found, 3))),
        )
        self._remember(kind, data, split, found)
        start, stop = part(found, 7)
        label = self._labels.get(data[start:stop], OTHER)
        carries = data.find(self._looked_for, at, split) >= 0
        group = self._group(Spawn(kind, label, program if program.startswith("/") else "", carries))
        group.count += 1
        start, stop = part(message(data, found, 16), 1)
        if start < stop:
            group.actions.add(key_of(data[start:stop]))

    def _group(self, spawn: Spawn) -> Group:
        return self.groups.setdefault(spawn, Group())

    def _remember(self, kind: Kind, data: bytes, split: int, found: Fields) -> None:
        """Remember the bytes of a platform and of a kind, where there are both, and label and digest."""
        (start, platform_end), (_, middle), (digest, _) = part(found, 3), part(found, 7), part(found, 16)
        if not (kind.platform and middle and digest) or data[split] != _PLATFORM:
            return
        if (platform := data[split:platform_end]) != self._platform:
            self._platform, self._known, self._alike = platform, {}, {}
        shared = data[middle : data.find(_DIGEST, middle)]
        # No text of it may hold what the digest begins with.
        if middle + len(shared) + 3 == digest and start < middle:
            self._known[shared] = kind


def _command(data: bytes, at: int, end: int) -> tuple[str, int]:
    """The first word of a spawn's command, "" for none, and where arguments and variables end."""
    program = None
    while at < end and (tag := data[at]) in (_ARGUMENT, _VARIABLE):
        size, at = varint(data, at + 1)
        if program is None and tag == _ARGUMENT:
            program = data[at : at + size].decode("utf-8", "replace")
        at += size
    return program or "", at


def _properties(data: bytes, at: int, end: int) -> Iterator[tuple[str, str]]:
    """The properties of a platform's message."""
    while at < end:
        tag, at = varint(data, at)
        if tag != _ARGUMENT:
            raise WireError(f"a platform with the tag {tag}")
        size, at = varint(data, at)
        found = fields(data, at, at + size)
        yield text(data, found, 1), text(data, found, 2)
        at += size
