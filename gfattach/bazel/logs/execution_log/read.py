"""Reads an execution log of either format: which one it is, its first bytes tell."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

from gfattach.bazel.logs.execution_log.compact_log import ZSTD_MAGIC, read_compact_log
from gfattach.bazel.logs.execution_log.json_log import read_json_log
from gfattach.bazel.logs.execution_log.record import Groups
from gfattach.core.files import storage_error
from gfattach.core.wire.delimited import DelimitedError, TruncatedError

if TYPE_CHECKING:
    from gfattach.nixcache.decompress import Readable


def read_spawns(path: Path, text: str = "", labels: Set[str] = frozenset()) -> Groups:
    """The spawns of the log at `path`, those for `labels` with their own; `text` is what `Spawn.carries` is
    about.

    Raises TruncatedError and DelimitedError for a log that is cut off or none, and StorageError.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(4)
            file.seek(0)
            if begins != ZSTD_MAGIC:
                return read_json_log(file.read, text, labels)
            return _decompressed(file, text, labels)
    except OSError as error:
        raise storage_error("read", path, error) from error


def _decompressed(file: Readable, text: str, labels: Set[str]) -> Groups:
    from gfattach.nixcache.decompress import opened
    from gfattach.nixcache.errors import Kind, NixCacheError

    try:
        with opened("zstd", file) as reader:
            return read_compact_log(reader.read, text, labels)
    except NixCacheError as error:
        kind = TruncatedError if error.kind is Kind.TRUNCATED else DelimitedError
        raise kind(error.fact) from error
