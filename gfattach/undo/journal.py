"""The journal: what was changed outside an attachment's home, and how it is undone.

It is written ahead: first the original is copied beside it, then the change is recorded,
then the file is written. Whatever moment the machine dies at, the file is the old one or the
new one, and the journal knows both. What the user wrote since is never lost: a file that is
not as gfattach left it loses gfattach's marked block, and nothing else.

Whoever uses a journal holds the home's lock.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gfattach.core.errors import StorageError
from gfattach.core.files import (
    PRIVATE_FILE,
    make_private_directory,
    read_bytes,
    remove,
    storage_error,
    write_atomic,
)
from gfattach.core.paths import Home, state_directory
from gfattach.core.quote import command
from gfattach.undo import managed_block as marked
from gfattach.undo.changes import Change, JournalError, digest, read_changes, write_changes
from gfattach.undo.managed_block import DamagedBlockError


class Undone(StrEnum):
    """What undoing a change came to."""

    RESTORED = "restored"
    """The file is again what it was, byte for byte."""
    REMOVED = "removed"
    """gfattach had made the file, and it is gone."""
    UNTOUCHED = "untouched"
    """Nothing had to be done: the change was never made, or is undone already."""
    BLOCK_REMOVED = "block-removed"
    """The file was edited since: only gfattach's block was taken out."""
    LEFT = "left"
    """The file was edited since, and nothing of gfattach's can be told apart in it."""
    GONE = "gone"
    """The file was removed since, and it stays so."""
    FAILED = "failed"
    """The file cannot be read or written now. It stays in the journal."""


class Outcome(Struct, frozen=True):
    """One file's undoing, and a sentence on it. `original` is where a copy that was not used is kept."""

    path: Path
    result: Undone
    seen: str
    original: Path | None = None


class Journal:
    """The journal of one home."""

    def __init__(self, home: Home) -> None:
        self._file = home.journal
        self._originals = home.originals
        self._own = tuple(filter(None, (home.workspace, home.directory, state_directory())))

    def will_change(self, path: Path, content: bytes) -> bool:
        """Record that `path` is to hold `content`, then write it; whether anything had to be written.

        A file keeps its mode and owner; a new one is private, and directories that it lacks are made. A link
        is followed: the file it leads to changes. Raises StorageError (the file is then as it was) and
        JournalError, also for a file that is none of the workspace's and none of gfattach's.
        """
        path = _resolved(path)
        changes = {change.path: change for change in self._read()}
        current, status = read_bytes(path), _status(path)
        if current == content:
            return False
        known = changes.get(path)
        change = self._baseline(path, known, current, status)
        change = replace(change, written=(*change.written, digest(content)))
        self._demand_own(change)
        changes[path] = change
        write_changes(self._file, tuple(changes.values()))
        if known is not None and known.backup_name != change.backup_name:
            remove(self._originals / known.backup_name)
        if change.directories:
            make_private_directory(path.parent)
        if status is None:
            write_atomic(path, content, PRIVATE_FILE)
        else:
            write_atomic(path, content, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))
        return True

    def undo(self) -> list[Outcome]:
        """Undo every change, the last one first, and say what each came to. Twice is fine.

        Raises JournalError, and StorageError when the journal itself cannot be read or removed.
        """
        changes = self._read()
        for change in changes:
            self._demand_own(change)
        outcomes = [self._undo(change) for change in reversed(changes)]
        failed = {outcome.path for outcome in outcomes if outcome.result is Undone.FAILED}
        kept = {outcome.original for outcome in outcomes}
        # A full disk must not keep an undo from ending: write only when there is something to keep. A
        # journal that cannot be written names what is undone too, which the next undo finds so.
        if failed:
            try:
                write_changes(self._file, tuple(change for change in changes if change.path in failed))
            except StorageError:
                return outcomes
        else:
            remove(self._file)
        for change in changes:
            backup = self._originals / change.backup_name
            if change.path not in failed and backup not in kept:
                remove(backup)
        with contextlib.suppress(OSError):  # not there, or not empty
            self._originals.rmdir()
        return outcomes

    def _demand_own(self, change: Change) -> None:
        """Raise JournalError for what no `up` can have written, whatever the journal says."""
        path = change.path
        inside = any(path.is_relative_to(own) or path.is_relative_to(own.resolve()) for own in self._own)
        if not inside or ".." in path.parts or not {*change.directories} <= {*path.parents}:
            raise JournalError(
                f"the journal {self._file} names {path}, which no attach of this workspace can have changed",
                f"nothing of it was undone; look at the journal, and remove it: {command('rm', self._file)}",
                code="journal.foreign",
            )

    def _read(self) -> tuple[Change, ...]:
        return read_changes(self._file, self._originals)

    def _baseline(
        self, path: Path, known: Change | None, current: bytes | None, status: os.stat_result | None
    ) -> Change:
        """What an undo is to restore. What the user wrote since the last change becomes the original."""
        found = None if current is None else digest(current)
        if known is not None and (found == known.before or found in known.written):
            # Of what was written before, only what stands there now can still be found there.
            return replace(known, written=tuple(text for text in known.written if text == found))
        directories = tuple(_missing(path.parent)) if known is None else known.directories
        original = current
        if current is not None:
            with contextlib.suppress(DamagedBlockError):
                without = marked.take_out(current)
                original = current if without is None else without
        if not original and known is not None and known.before is None:
            original = None  # nothing but gfattach's own is in a file that gfattach made
        if original is None or status is None:
            return Change(path, None, None, (), directories)
        change = Change(path, digest(original), stat.S_IMODE(status.st_mode), (), directories)
        make_private_directory(self._originals)
        write_atomic(self._originals / change.backup_name, original)
        return change

    def _undo(self, change: Change) -> Outcome:
        try:
            result, seen = self._put_back(change)
        except StorageError as error:
            return Outcome(change.path, Undone.FAILED, error.fact)
        if result in (Undone.REMOVED, Undone.UNTOUCHED, Undone.GONE):
            _remove_empty(change.directories)
        if result is not Undone.LEFT or change.before is None:
            return Outcome(change.path, result, f"{change.path} {seen}")
        backup = self._originals / change.backup_name
        return Outcome(
            change.path, result, f"{change.path} {seen}; what it held before is in {backup}", backup
        )

    def _put_back(self, change: Change) -> tuple[Undone, str]:
        path = change.path
        if _resolved(path) != path:
            return Undone.LEFT, "is reached by a link now, and what that leads to stays as it is"
        current, status = read_bytes(path), _status(path)
        found = None if current is None else digest(current)
        if found == change.before:
            return Undone.UNTOUCHED, "is as it was"
        if current is None or status is None:
            return Undone.GONE, "was removed since, and stays so"
        owner = (status.st_uid, status.st_gid)
        if found in change.written:
            if change.before is None:
                remove(path)
                return Undone.REMOVED, "is removed"
            assert change.mode is not None
            write_atomic(path, self._original(change), change.mode, owner)
            return Undone.RESTORED, "is restored"
        try:
            without = marked.take_out(current)
        except DamagedBlockError:
            return Undone.LEFT, "was edited since, within gfattach's block: take the rest of it out by hand"
        if without is None:
            return Undone.LEFT, "was edited since, and stays as it is"
        if not without and change.before is None:
            remove(path)
            return Undone.REMOVED, "is removed"
        write_atomic(path, without, stat.S_IMODE(status.st_mode), owner)
        return Undone.BLOCK_REMOVED, "was edited since: only gfattach's block is taken out"

    def _original(self, change: Change) -> bytes:
        backup = self._originals / change.backup_name
        original = read_bytes(backup)
        if original is None or digest(original) != change.before:
            what = "is gone" if original is None else "is damaged"
            raise StorageError(f"{change.path} is not restored: its original, {backup}, {what}")
        return original


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise StorageError(f"cannot follow the link {path}: {error}") from error


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error("read", path, error) from error


def _missing(directory: Path) -> Iterator[Path]:
    """The directories that are not there, the lowest first."""
    while not directory.exists():
        yield directory
        directory = directory.parent


def _remove_empty(directories: tuple[Path, ...]) -> None:
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:  # not there, or not empty: what is above it is not empty either
            return
