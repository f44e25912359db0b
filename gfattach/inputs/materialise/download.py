"""One download: a beginning that is gone on with, verified while it comes, and named when it is whole."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from gfattach.core.errors import StorageError
from gfattach.core.files import storage_error
from gfattach.core.quote import word
from gfattach.inputs.contract.coverage import digest_of
from gfattach.inputs.materialise.http import Client, DownloadError
from gfattach.inputs.materialise.plan import Task
from gfattach.inputs.model.input import clean_url

if TYPE_CHECKING:
    from hashlib import _Hash

#: Bytes that a worker reads at a time.
BUFFER = 256 * 1024

#: Bytes of a file whose size nobody declared, at most.
LARGEST = 8 * 1024**3


class Tally(Struct):
    """How far a fetch is: updated by its workers, read by who shows it."""

    files: int
    done: int = 0
    received: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, received: int = 0, done: int = 0) -> None:
        """Count."""
        with self.lock:
            self.received += received
            self.done += done


class WrongBytes(Exception):
    """What came is whole and has another checksum."""


class Download(Struct):
    """The attempts at one file, each of which goes on with what an earlier one left."""

    task: Task
    begun: Path
    buffer: memoryview
    tally: Tally
    stop: threading.Event
    until: float
    received: int = 0

    def run(self, client: Client, url: str) -> int | None:
        """One attempt: bytes of the file that now stands at its place, None where it was stopped.

        Raises DownloadError, WrongBytes and StorageError.
        """
        try:
            handle = os.open(self.begun, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise storage_error("write", self.begun, error) from error
        try:
            return self._into(handle, client, url)
        except OSError as error:
            raise storage_error("write", self.begun, error) from error
        finally:
            os.close(handle)

    def _into(self, handle: int, client: Client, url: str) -> int | None:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StorageError(f"{self.begun} is no regular file", f"remove it: rm {word(str(self.begun))}")
        hasher, offset = self._resume(handle)
        if offset and offset == self.task.input.size and hasher.digest() == self.task.checksum.digest:
            return self._name(handle, offset)
        try:
            with client.get(url, offset) as response:
                if response.begins != offset:
                    hasher, offset = self._restart(handle)
                size = self._receive(handle, hasher, offset, response.read, response.length, url)
                response.done()
        except DownloadError as error:
            if error.status == 416 and offset:  # it is shorter than what is here, or as long
                if hasher.digest() == self.task.checksum.digest:
                    return self._name(handle, offset)
                self._restart(handle)
                raise DownloadError(error.why, retry=True) from error
            raise
        if size is None:
            return None
        if hasher.digest() != self.task.checksum.digest:
            self._restart(handle)
            if offset:  # what was here before may be of other bytes: once more, from the beginning
                raise DownloadError("what was begun before does not fit", retry=True)
            got = type(self.task.checksum)(self.task.checksum.algorithm, hasher.digest())
            raise WrongBytes(f"{clean_url(url)} gave {got.sri}, and {self.task.checksum.sri} is declared")
        return self._name(handle, size)

    def _resume(self, handle: int) -> tuple[_Hash, int]:
        """The hash of what was begun, and how long that is."""
        hasher, offset = self.task.checksum.hasher(), 0
        while count := os.preadv(handle, [self.buffer], offset):
            hasher.update(self.buffer[:count])
            offset += count
        return hasher, offset

    def _restart(self, handle: int) -> tuple[_Hash, int]:
        os.ftruncate(handle, 0)
        return self.task.checksum.hasher(), 0

    def _receive(
        self,
        handle: int,
        hasher: _Hash,
        offset: int,
        read: Callable[[int], bytes],
        length: int | None,
        url: str,
    ) -> int | None:
        """All of the body, hashed and written; where it ended, None where it was stopped."""
        limit = self.task.input.size if self.task.input.size is not None else LARGEST
        at = offset
        while True:
            if self.stop.is_set() or time.monotonic() > self.until:
                return None
            part = read(BUFFER)
            count = len(part)
            if not count:
                break
            written = os.pwrite(handle, part, at)
            while written < count:  # a full disk ends in an error, a signal in less
                written += os.pwrite(handle, part[written:], at + written)
            hasher.update(part)
            at += count
            self.received += count
            self.tally.add(received=count)
            if at > limit:
                self._restart(handle)
                raise WrongBytes(f"{clean_url(url)} gave more than the {limit} bytes that it may have")
        if length is not None and at < offset + length:
            raise DownloadError(f"{clean_url(url)}: the connection ended before the file did", retry=True)
        return at

    def _name(self, handle: int, size: int) -> int:
        """Flush it, and give it its name: never over something that is there."""
        place = self.task.place
        os.fdatasync(handle)
        try:
            os.link(self.begun, place)
        except FileExistsError:
            if place.is_symlink() or digest_of(place, self.task.checksum) != self.task.checksum.digest:
                raise StorageError(
                    f"{place} came to be there meanwhile, and has other bytes",
                    f"look at it: ls -l {word(str(place))}",
                    code="inputs.fetch.occupied",
                ) from None
        except OSError:  # a file system without hard links
            self.begun.rename(place)
            return size
        self.begun.unlink()
        return size
