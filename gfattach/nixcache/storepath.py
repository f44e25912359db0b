"""Store paths: how they are written, and how they follow from what they name.

The computation is that of the Nix manual, "Store path specification": the digest in a path is
the SHA-256 of `TYPE:sha256:INNER-HASH:STORE-DIR:NAME`, folded to 20 bytes, in base 32.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from msgspec import Struct

from gfattach.nixcache import nix32
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.hashes import Hash, parse_hash

STORE_DIRECTORY = "/nix/store"

_BASE_NAME = re.compile(r"([0-9a-df-np-sv-z]{32})-([0-9A-Za-z+._?=-]{1,211})", re.ASCII)


class StorePath(Struct, frozen=True, order=True):
    """`directory/digest-name`. `digest` is 32 characters of base 32; ordered as Nix orders references."""

    digest: str
    name: str
    directory: str = STORE_DIRECTORY

    @property
    def base_name(self) -> str:
        """The path without its directory."""
        return f"{self.digest}-{self.name}"

    def __str__(self) -> str:
        return f"{self.directory}/{self.base_name}"


def parse_base_name(text: str, directory: str = STORE_DIRECTORY) -> StorePath:
    """The store path whose last part is `text`. Raises FormatError."""
    match = _BASE_NAME.fullmatch(text)
    if match is None:
        raise FormatError(f"{text[:300]!r} is not the name of a store path")
    return StorePath(match[1], match[2], directory)


def parse_store_path(text: str) -> StorePath:
    """The store path that `text` is, in whatever store. Raises FormatError."""
    directory, slash, base = text.rpartition("/")
    if not slash or not re.fullmatch(r"(/[^/\s\x00-\x1f\x7f]+)+", directory):
        raise FormatError(f"{text[:300]!r} is not a store path")
    return parse_base_name(base, directory)


class ContentAddress(Struct, frozen=True):
    """The `CA` field: a path whose name follows from its content.

    `method` is `text` (a file that may refer to others), `flat` (a file), `recursive` (the NAR) or
    `git` (a git tree).
    """

    method: str
    hash: Hash

    def __str__(self) -> str:
        return f"{_CA_PREFIX[self.method]}{self.hash.nix32}"


_CA_PREFIX = {"text": "text:", "recursive": "fixed:r:", "git": "fixed:git:", "flat": "fixed:"}


def parse_content_address(text: str) -> ContentAddress:
    """What a `CA` field says. Raises FormatError."""
    for method, prefix in _CA_PREFIX.items():
        if text.startswith(prefix):
            address = ContentAddress(method, parse_hash(text.removeprefix(prefix)))
            if method == "text" and address.hash.algorithm != "sha256":
                raise FormatError(f"{text[:120]!r} is no content address: a text's hash is sha256")
            return address
    raise FormatError(f"{text[:120]!r} is no content address")


def make_store_path(kind: str, inner: bytes, name: str, directory: str = STORE_DIRECTORY) -> StorePath:
    """The path of type `kind` for the SHA-256 digest `inner`. Raises FormatError for a bad name."""
    outer = hashlib.sha256(f"{kind}:sha256:{inner.hex()}:{directory}:{name}".encode()).digest()
    folded = bytearray(20)
    for place, value in enumerate(outer):
        folded[place % 20] ^= value
    return parse_base_name(f"{nix32.encode(bytes(folded))}-{name}", directory)


def content_addressed_path(
    address: ContentAddress,
    name: str,
    references: Iterable[StorePath] = (),
    *,
    self_reference: bool = False,
    directory: str = STORE_DIRECTORY,
) -> StorePath:
    """The path that `address` leads to. `references` leaves the path itself out. Raises FormatError."""
    others = [str(path) for path in sorted(references)]
    if address.method == "text" and not self_reference:
        return make_store_path(":".join(["text", *others]), address.hash.digest, name, directory)
    if address.method == "recursive" and address.hash.algorithm == "sha256":
        kind = ":".join(["source", *others, *(["self"] if self_reference else [])])
        return make_store_path(kind, address.hash.digest, name, directory)
    if others or self_reference:
        raise FormatError(f"a path with the content address {address} cannot have these references")
    how = {"flat": "", "recursive": "r:", "git": "git:"}[address.method]
    inner = f"fixed:out:{how}{address.hash.algorithm}:{address.hash.hex}:"
    return make_store_path("output:out", hashlib.sha256(inner.encode()).digest(), name, directory)


def text_path(name: str, content: bytes) -> StorePath:
    """The path of `builtins.toFile name content` without references. Raises FormatError for a bad name."""
    return content_addressed_path(text_address(content), name)


def text_address(content: bytes) -> ContentAddress:
    """The content address that `builtins.toFile` gives a file of `content`."""
    return ContentAddress("text", Hash("sha256", hashlib.sha256(content).digest()))
