"""The layout of Bazel's repository cache: `content_addressable/ALGORITHM/HEX/file`.

Beside the file stand empty marks `id-SHA256(CANONICAL ID)`: from 7.0 on Bazel asks for the mark of the URLs
that it was given, and passes over a file without it; 4.2.3 goes by the checksum alone. The canonical id is
the URLs parted by spaces (`BAZEL_HTTP_RULES_URLS_AS_DEFAULT_CANONICAL_ID`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gfattach.core.files import storage_error

_CONTENT = "content_addressable"


def cached_file(cache: Path, algorithm: str, digest: str) -> Path:
    """Where `cache` has, or would have, what has that checksum (hex)."""
    return cache / _CONTENT / algorithm / digest / "file"


def canonical_mark(urls: Sequence[str]) -> str:
    """The name of the mark that a rule asks for that was given `urls`."""
    return "id-" + hashlib.sha256(" ".join(urls).encode()).hexdigest()


def cached(cache: Path) -> Mapping[tuple[str, str], int]:
    """Every file of `cache` by algorithm and digest (hex), with its size in bytes. Raises StorageError."""
    found: dict[tuple[str, str], int] = {}
    try:
        for entry in _directories(cache / _CONTENT):
            for item in _directories(entry):
                file = item / "file"
                if file.is_file():
                    found[entry.name, item.name] = file.stat().st_size
    except OSError as error:
        raise storage_error("read", cache, error) from error
    return found


def _directories(place: Path) -> Iterable[Path]:
    return sorted(each for each in place.iterdir() if each.is_dir()) if place.is_dir() else ()
