"""The blob store: files by key with a disk quota, the least recently used evicted for new ones.

A file is written as a draft in `tmp/`, within space that was reserved for it, and renamed into place:
a key names a whole file or none, whatever ends the process. The order of use is the order of the
files' modification times, so it survives a restart.

What is counted is disk, not content: whole blocks, the block that indexes a file in many
pieces, the directory entry, and from the start every directory that there can be.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from gfattach.core.files import PRIVATE_DIRECTORY, PRIVATE_FILE, make_private_directory
from gfattach.trial.blob_store_files import BLOCK_BYTES, WellFormed, directory_bytes, swept

#: Bytes of a directory that an entry can take: a name of up to 85 characters, and half of it unused.
ENTRY_BYTES = 256

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BlobStoreError(Exception):
    """Something cannot be kept. What is kept already is not touched."""


class TooLargeError(BlobStoreError):
    """It would not fit even if the store were empty."""


class FullError(BlobStoreError):
    """The disk is full, or all space is taken by what is being written just now."""


class Entry(Struct, eq=False):
    """A file in the store: its size and what it is counted for, both in bytes.

    `checked` is the owner's note that the content was verified while this process ran.
    """

    size: int
    charge: int
    checked: bool


class BlobStore:
    """The files of some kinds below `root`, of at most `max_bytes` on disk. Threads may share it.

    One process at a time: the owner of the directory sees to that. Opening it sweeps drafts that
    were left behind and files that are not `kinds`'. Raises StorageError and OSError.
    """

    def __init__(self, root: Path, max_bytes: int, kinds: Mapping[str, WellFormed]) -> None:
        self._root = str(make_private_directory(root))
        self._drafts = make_private_directory(root / "tmp")
        self._block = max(BLOCK_BYTES, os.statvfs(root).f_frsize)
        self.capacity = max_bytes - directory_bytes(len(kinds), self._block)
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._used = 0
        self._reserved = 0
        self._last_use = 0
        self._serial = 0
        for leftover in self._drafts.iterdir():
            leftover.unlink()
        for kind in kinds:
            make_private_directory(root / kind)
        self._load(kinds)

    @property
    def used(self) -> int:
        """Bytes on disk that the files are counted for."""
        return self._used

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> list[str]:
        """All keys, the least recently used first."""
        with self._lock:
            return list(self._entries)

    def charge(self, size: int) -> int:
        """Bytes on disk that a file of `size` bytes is counted for."""
        blocks = max(1, -(-size // self._block))
        # A file in more than four pieces needs a block to list them; one lists some three hundred.
        index = -(-blocks // 256) if blocks > 4 else 0
        return (blocks + index) * self._block + ENTRY_BYTES

    def draft(self, size: int) -> Draft:
        """A new file of `size` bytes, in space that is reserved from now on. Raises BlobStoreError."""
        charge = self.charge(size)
        if charge > self.capacity:
            raise TooLargeError(f"{size} bytes do not fit into {self.capacity}")
        with self._lock:
            self._evict_for(charge)
            self._reserved += charge
            self._serial += 1
            path = str(self._drafts / f"{self._serial}.new")
        try:
            with _full_disk():
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
        except BaseException:
            self._release(charge)
            raise
        return Draft(self, path, handle, size, charge)

    def lookup(self, key: str) -> Entry | None:
        """The entry for `key`, used just now; None when there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            try:
                os.utime(self._path(key), ns=self._now())
            except FileNotFoundError:
                self._forget(key)
                return None
            except OSError:
                pass  # a disk that is full, or has turned read-only, can still be read
            self._entries.move_to_end(key)
            return entry

    def open(self, key: str, entry: Entry) -> int | None:
        """A descriptor for reading `key`; None when `entry` is no longer what is there."""
        try:
            handle = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if os.fstat(handle).st_size == entry.size:
            return handle
        os.close(handle)
        self.discard(key, entry)
        return None

    def discard(self, key: str, entry: Entry) -> None:
        """Give up `key`, if `entry` is still what is there."""
        with self._lock:
            if self._entries.get(key) is entry:
                self._unlink(key)

    def _load(self, kinds: Mapping[str, WellFormed]) -> None:
        for used, key, size in swept(self._root, kinds):
            self._entries[key] = Entry(size, self.charge(size), checked=False)
            self._used += self._entries[key].charge
            self._last_use = used
        self._evict_for(0)

    def _evict_for(self, charge: int) -> None:
        while self._used + self._reserved + charge > self.capacity:
            oldest = next(iter(self._entries), None)
            if oldest is None:
                raise FullError("all space is taken by what is being written just now")
            self._unlink(oldest)

    def _admit(self, draft: Draft, key: str) -> None:
        with self._lock:
            os.utime(draft.path, ns=self._now())
            place = self._path(key)
            with _full_disk():
                try:
                    os.rename(draft.path, place)  # noqa: PTH104 - a Path costs more than the call
                except FileNotFoundError:
                    Path(place).parent.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
                    os.rename(draft.path, place)  # noqa: PTH104
            replaced = self._entries.pop(key, None)
            if replaced is not None:
                self._used -= replaced.charge
            self._entries[key] = Entry(draft.size, draft.charge, checked=True)
            self._used += draft.charge
            self._reserved -= draft.charge

    def _release(self, charge: int) -> None:
        with self._lock:
            self._reserved -= charge

    def _unlink(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(key))  # noqa: PTH108 - a Path costs more than the call
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._used -= self._entries.pop(key).charge

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _now(self) -> tuple[int, int]:
        # No two uses at one moment, and none before the last, also when the clock was set back.
        self._last_use = max(time.time_ns(), self._last_use + 1)
        return self._last_use, self._last_use


class Draft:
    """A file that is being written. Leaving the context gives it up, unless it was admitted."""

    def __init__(self, store: BlobStore, path: str, handle: int, size: int, charge: int) -> None:
        self._store = store
        self.path = path
        self._handle = handle
        self.size = size
        self.charge = charge
        self._admitted = False

    def __enter__(self) -> Draft:
        return self

    def write(self, data: bytes) -> None:
        """Append `data`; the caller keeps to the size that was reserved. Raises FullError, OSError."""
        rest = memoryview(data)
        with _full_disk():
            while rest:
                rest = rest[os.write(self._handle, rest) :]

    def admit(self, key: str) -> None:
        """Put the file at `key`, in the place of what was there. Raises FullError, OSError."""
        with _full_disk():
            self._close()  # some file systems tell only here that the disk is full
        self._store._admit(self, key)
        self._admitted = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._close()
        if not self._admitted:
            with contextlib.suppress(OSError):
                os.unlink(self.path)  # noqa: PTH108 - a Path costs more than the call
            self._store._release(self.charge)

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise FullError(os.strerror(error.errno or 0).lower()) from error
        raise
