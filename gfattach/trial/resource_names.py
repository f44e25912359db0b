"""The resource names of the ByteStream service, as the Remote Execution API v2 writes them.

    [INSTANCE/]blobs/HASH/SIZE                        to read
    [INSTANCE/]uploads/UUID/blobs/HASH/SIZE[/...]     to write; what follows the size is ignored

An instance's name may hold slashes, and none of the words that begin the rest.
"""

from __future__ import annotations

import re

from gfattach.reapi.digest import Digest
from gfattach.trial.blobs import DigestError, checked

_KEYWORDS = ("blobs", "compressed-blobs", "uploads")
_SIZE = re.compile(r"0|[1-9][0-9]*")


class ResourceNameError(ValueError):
    """A text that names nothing that can be read or written here."""


def blob_to_read(name: str) -> Digest:
    """The blob that `name` asks for. Raises ResourceNameError."""
    rest = _behind_instance(name)
    _refuse_compressed(rest, name)
    if len(rest) != 3 or rest[0] != "blobs":
        raise ResourceNameError(f"{name!r} is not [INSTANCE/]blobs/HASH/SIZE")
    return _digest(rest[1], rest[2], name)


def blob_to_write(name: str) -> Digest:
    """The blob that `name` announces. Raises ResourceNameError."""
    rest = _behind_instance(name)
    _refuse_compressed(rest[2:], name)
    if len(rest) < 5 or rest[0] != "uploads" or not rest[1] or rest[2] != "blobs":
        raise ResourceNameError(f"{name!r} is not [INSTANCE/]uploads/UUID/blobs/HASH/SIZE")
    return _digest(rest[3], rest[4], name)


def _behind_instance(name: str) -> list[str]:
    segments = name.split("/")
    for position, segment in enumerate(segments):
        if segment in _KEYWORDS:
            return segments[position:]
    return []


def _refuse_compressed(rest: list[str], name: str) -> None:
    if rest[:1] == ["compressed-blobs"]:
        raise ResourceNameError(f"{name!r} asks for compression, and none is offered")


def _digest(hash_text: str, size_text: str, name: str) -> Digest:
    if not _SIZE.fullmatch(size_text):
        raise ResourceNameError(f"{name!r} has no size in bytes")
    try:
        return checked(Digest(hash_text, int(size_text)))
    except DigestError as error:
        raise ResourceNameError(f"{name!r}: {error}") from error
