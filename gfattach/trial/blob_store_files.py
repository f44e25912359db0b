"""The directories and files of the blob store: where a key's file is, what belongs there, what it all takes.

A key is `kind/shard/name`, and the shard is the first two characters of the name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

#: Bytes of a block where the file system does not name a larger one.
BLOCK_BYTES = 4096
#: Directories below each kind, by the first two hex digits.
SHARDS = 256

_SHARD = re.compile(r"[0-9a-f]{2}")


class WellFormed(Protocol):
    """Whether a file of that name and size (bytes) can be what a kind keeps."""

    def __call__(self, name: str, size: int) -> bool:
        """Decide it without opening the file."""


def directory_bytes(kinds: int, block: int = BLOCK_BYTES) -> int:
    """Bytes on disk that the directories of a blob store can take: the root, `tmp`, each kind, each shard."""
    return (2 + kinds * (1 + SHARDS)) * block


def swept(root: str, kinds: Mapping[str, WellFormed]) -> list[tuple[int, str, int]]:
    """Every file below `root` that is one of `kinds`, the least recently used first; others are removed.

    As the time of its last use (nanoseconds), its key, and its size in bytes. Raises OSError.
    """
    found: list[tuple[int, str, int]] = []
    for kind, wellformed in kinds.items():
        for shard in _scan(f"{root}/{kind}"):
            if not shard.is_dir(follow_symlinks=False):
                Path(shard.path).unlink()
                continue
            for file in _scan(shard.path):
                if file.is_dir(follow_symlinks=False):
                    continue
                status = file.stat(follow_symlinks=False)
                placed = _SHARD.fullmatch(shard.name) and file.name.startswith(shard.name)
                if file.is_symlink() or not placed or not wellformed(file.name, status.st_size):
                    Path(file.path).unlink()
                    continue
                found.append((status.st_mtime_ns, f"{kind}/{shard.name}/{file.name}", status.st_size))
    return sorted(found)


def _scan(directory: str) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)
