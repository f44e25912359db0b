"""The Nix archive: one file, directory or symbolic link, and all below it, as a stream of bytes.

Source: the Nix manual, "Nix Archive (NAR) format". Numbers are 64 bits, little-endian; every text
is its length, its bytes, and zeros up to a multiple of 8.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from gfattach.nixcache.hashes import Hash


class Regular(Struct, frozen=True):
    """A file."""

    content: bytes
    executable: bool = False


class Symlink(Struct, frozen=True):
    """A symbolic link to `target`, which may be anything."""

    target: str


class Directory(Struct, frozen=True):
    """A directory; `entries` maps names to what they hold."""

    entries: Mapping[str, Node] = field(default_factory=dict)


Node = Regular | Symlink | Directory


def serialise(node: Node) -> bytes:
    """`node` as an archive. Raises ValueError for the name of an entry that no directory can hold."""
    return b"".join([_text(b"nix-archive-1"), *_node(node)])


def _node(node: Node) -> Iterator[bytes]:
    yield _text(b"(") + _text(b"type")
    if isinstance(node, Regular):
        yield _text(b"regular")
        if node.executable:
            yield _text(b"executable") + _text(b"")
        yield _text(b"contents") + _text(node.content)
    elif isinstance(node, Symlink):
        yield _text(b"symlink") + _text(b"target") + _text(os.fsencode(node.target))
    else:
        yield _text(b"directory")
        named = {os.fsencode(name): entry for name, entry in node.entries.items()}
        for name in sorted(named):
            if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
                raise ValueError(f"{name!r} cannot be the name of an entry")
            yield _text(b"entry") + _text(b"(") + _text(b"name") + _text(name) + _text(b"node")
            yield from _node(named[name])
            yield _text(b")")
    yield _text(b")")


def _text(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + content + bytes(-len(content) % 8)


class Measure:
    """The SHA-256 and the size of a stream, taken as it goes by."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self.size = 0

    def update(self, piece: bytes) -> None:
        """Take `piece` in."""
        self._hasher.update(piece)
        self.size += len(piece)

    @property
    def hash(self) -> Hash:
        """The hash of all that was taken in."""
        return Hash("sha256", self._hasher.digest())


def hash_of(content: bytes) -> Hash:
    """The SHA-256 of `content`."""
    return Hash("sha256", hashlib.sha256(content).digest())
