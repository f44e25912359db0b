"""The journal's file: which files were changed, and what was in them before and after.

Contents stand in it as SHA-256 digests; the originals themselves lie beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.errors import StorageError
from gfattach.core.files import make_private_directory, read_bytes, write_json
from gfattach.core.quote import word

SCHEMA = 1


class JournalError(StorageError):
    """The journal cannot be read as one. Nothing that it speaks of has been touched."""

    default_code = "journal.damaged"


class Change(Struct, frozen=True):
    """One file's change.

    `before` is the digest of the original and `mode` its mode, both None when there was no
    file; `written` are the digests of what gfattach may have written there, the newest last;
    `directories` are those that were made for it, the lowest first.
    """

    path: Path
    before: str | None
    mode: int | None
    written: tuple[str, ...]
    directories: tuple[Path, ...] = ()

    @property
    def backup_name(self) -> str:
        """What the copy of the original is called."""
        return f"{digest(os.fsencode(self.path))[:12]}-{(self.before or '')[:12]}"


def digest(content: bytes) -> str:
    """SHA-256, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_changes(file: Path, originals: Path) -> tuple[Change, ...]:
    """The changes that `file` records, the first one first. Raises StorageError and JournalError."""
    content = read_bytes(file)
    if content is None:
        return ()
    try:
        document = json.loads(content)
        schema = document["schema"]
        changes = tuple(_decode(document["changes"])) if schema == SCHEMA else ()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalError(
            f"the journal {file} is damaged, and nothing is undone",
            f"the originals are in {originals}: compare them with your files, and put back what is missing",
            f"then remove the journal: rm {word(file)}",
        ) from error
    if schema != SCHEMA:
        raise JournalError(
            f"the journal {file} has the format {schema}, and this gfattach knows {SCHEMA}",
            "undo with the gfattach that attached: gfattach down",
            code="journal.version",
        )
    return changes


def write_changes(file: Path, changes: Sequence[Change]) -> None:
    """Put `changes` into `file`. Raises StorageError."""
    make_private_directory(file.parent)
    write_json(file, {"schema": SCHEMA, "changes": [_encode(change) for change in changes]})


def _encode(change: Change) -> dict[str, Any]:
    return {
        "path": str(change.path),
        "before": change.before,
        "mode": change.mode,
        "written": list(change.written),
        "directories": [str(directory) for directory in change.directories],
    }


def _decode(items: Any) -> Iterator[Change]:
    for item in items:
        before, mode = item["before"], item["mode"]
        written, directories = item["written"], item["directories"]
        texts = [item["path"], *written, *directories, *([] if before is None else [before])]
        if not all(isinstance(text, str) for text in texts) or not isinstance(mode, int | None):
            raise TypeError("a value of another type")
        path = Path(item["path"])
        if not path.is_absolute() or (mode is None) != (before is None):
            raise ValueError("a change that cannot be")
        yield Change(path, before, mode, tuple(written), tuple(Path(each) for each in directories))
