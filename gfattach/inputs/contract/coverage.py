"""Coverage: for each input whether the distdirs and the repository cache at hand have it, and why not.

Bazel passes over a file with the right name and the wrong bytes without a word and goes to the network
(4.2.3 to 9): so each candidate is read and compared, and what is wrong with it is said.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.external.distdir import layers_of
from gfattach.bazel.external.repository_cache import cached_file
from gfattach.core.files import storage_error
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.input import UNCOVERABLE, Input, Kind

#: Bytes read at a time.
BLOCK = 1024 * 1024


_NAMELESS = ("its URL ends in no file name", "name the file in the rule")


class Coverage(Enum):
    """What became of one input."""

    COVERED = "covered"
    MISSING = "missing"
    WRONG_BYTES = "wrong bytes"
    COLLIDES = "name collides"
    UNCOVERABLE = "not coverable"


class Covered(Struct, frozen=True):
    """`place` is where it is, or what stands in its place; `why` says more."""

    input: Input
    coverage: Coverage
    place: Path | None = None
    why: str = ""


class Shelf(Struct, frozen=True):
    """Where inputs may be: `distdirs`, each layer one, looked into in order, and a repository cache."""

    distdirs: tuple[Path, ...] = ()
    repository_cache: Path | None = None


def shelf_of(distdirs: Iterable[Path], repository_cache: Path | None) -> Shelf:
    """The shelf with all layers of `distdirs`. Raises StorageError."""
    return Shelf(tuple(layer for each in distdirs for layer in layers_of(each)), repository_cache)


def cover(inputs: Sequence[Input], shelf: Shelf) -> tuple[Covered, ...]:
    """What covers each of `inputs`. Raises StorageError for what cannot be read."""
    sums = _Sums()
    declared = {each.checksum for each in inputs if each.checksum is not None}
    return tuple(_cover(each, shelf, sums, declared) for each in inputs)


def _cover(item: Input, shelf: Shelf, sums: _Sums, declared: set[Checksum]) -> Covered:
    checksum = item.checksum
    if checksum is not None and item.by_repository_cache and shelf.repository_cache is not None:
        file = cached_file(shelf.repository_cache, checksum.algorithm, checksum.hex)
        if file.is_file():
            if sums.has(file, checksum):
                return Covered(item, Coverage.COVERED, file)
            return Covered(item, Coverage.WRONG_BYTES, file, "the repository cache has other bytes")
        if item.kind is Kind.REGISTRY:
            return Covered(item, Coverage.MISSING, None, "the repository cache has no file of that checksum")
    if not item.by_distdir or checksum is None:
        why, remedy = UNCOVERABLE.get(
            item.kind, ("its URL ends in no file name", "name the file in the rule")
        )
        return Covered(item, Coverage.UNCOVERABLE, None, f"{why}: {remedy}")
    found: list[Path] = []
    for name in item.files:
        for directory in shelf.distdirs:
            file = directory / name
            if not file.is_file():
                continue
            if sums.has(file, checksum):
                return Covered(item, Coverage.COVERED, file)
            found.append(file)
    if not found:
        return Covered(item, Coverage.MISSING, None, f"no file {' or '.join(item.files)}")
    for file in found:
        if sums.of_any(file, declared):
            why = "the file of that name is another input's: a layer of its own is needed"
            return Covered(item, Coverage.COLLIDES, file, why)
    hint = "; a regenerated archive?" if item.generated else ""
    why = f"Bazel would pass over it and go to the network{hint}"
    return Covered(item, Coverage.WRONG_BYTES, found[0], why)


class _Sums:
    """Checksums of files, each file read once for each algorithm."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], bytes] = {}

    def has(self, file: Path, checksum: Checksum) -> bool:
        """Whether the file has that checksum."""
        key = (file, checksum.algorithm)
        if key not in self._known:
            self._known[key] = digest_of(file, checksum)
        return self._known[key] == checksum.digest

    def of_any(self, file: Path, declared: set[Checksum]) -> bool:
        """Whether it has one of them."""
        return any(self.has(file, each) for each in declared)


def digest_of(file: Path, like: Checksum) -> bytes:
    """The digest of a regular file, by the algorithm of `like`. Raises StorageError."""
    hasher = like.hasher()
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return b""
            buffer = memoryview(bytearray(BLOCK))
            while count := os.readv(handle, [buffer]):
                hasher.update(buffer[:count])
        finally:
            os.close(handle)
    except OSError as error:
        raise storage_error("read", file, error) from error
    return hasher.digest()
