"""The materialiser: every file verified before it is named, by a bounded number of workers.

A download goes into `PARTIAL/ALGORITHM-HEX` in the destination, where a later fetch goes on with it. When all
of it is there and has its checksum it is flushed to the disk and linked to its name, which fails where
something stands there already. So a fetch that is killed leaves whole files and beginnings, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from msgspec import Struct, field

from gfattach.bazel.external.distdir import LAYER
from gfattach.core.errors import GfattachError, StorageError
from gfattach.core.files import locked, remove, storage_error
from gfattach.inputs.materialise.download import BUFFER, Download, Tally, WrongBytes
from gfattach.inputs.materialise.http import Client, DownloadError
from gfattach.inputs.materialise.plan import Task
from gfattach.inputs.materialise.sources import Source

#: Downloads at the same time, by default and at most.
JOBS = 8
MOST_JOBS = 64

#: Attempts at one URL, and seconds before the second one; each further pause is twice as long.
ATTEMPTS = 4
PAUSE = 0.5

#: Where beginnings are kept, in the destination: Bazel looks into no directory below a distdir.
PARTIAL = ".gfattach-partial"


class State(Enum):
    """What became of a task."""

    FETCHED = "fetched"
    KEPT = "kept"
    OCCUPIED = "occupied"
    WRONG_BYTES = "wrong bytes"
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"
    FAILED = "failed"


class Result(Struct, frozen=True):
    """`size` is in bytes, `received` those that were transferred now; `why` says what went wrong."""

    task: Task
    state: State
    size: int = 0
    received: int = 0
    why: str = ""


class Fetcher(Struct):
    """One fetch: where from, with whose connections, how many at a time, for how many seconds.

    `until` is when it ends, on the monotonic clock; `run` sets it.
    """

    source: Source
    client: Callable[[], Client]
    jobs: int = JOBS
    seconds: float = 3600.0
    stop: threading.Event = field(default_factory=threading.Event)
    until: float = 0.0

    def run(
        self, tasks: Sequence[Task], destination: Path, progress: Callable[[Tally], None] = lambda tally: None
    ) -> tuple[Result, ...]:
        """Have every task's file at its place; a result for each, in their order.

        Raises StorageError for a destination that cannot be used or that another fetch is at. An interrupt
        ends it with what is there kept.
        """
        partial = destination / PARTIAL
        _directory(destination)
        _directory(partial)
        tally = Tally(len(tasks))
        results: dict[int, Result] = {}
        waiting: queue.SimpleQueue[tuple[int, Task]] = queue.SimpleQueue()
        for item in enumerate(tasks):
            waiting.put(item)
        self.until = time.monotonic() + self.seconds
        with locked(partial / "lock", 5.0):
            count = max(1, min(self.jobs, MOST_JOBS, len(tasks)))
            workers = [
                threading.Thread(target=self._work, args=(waiting, partial, tally, results), daemon=True)
                for _ in range(count)
            ]
            for worker in workers:
                worker.start()
            try:
                while any(worker.is_alive() for worker in workers):
                    for worker in workers:
                        worker.join(0.25)
                        progress(tally)
                        if worker.is_alive():
                            break
            except BaseException:
                self.stop.set()
                for worker in workers:
                    worker.join(2.0)
                raise
            for place in {task.place.parent for task in tasks if task.place.parent.is_dir()}:
                _sync(place)
            _forget(partial, tasks)
        progress(tally)
        return tuple(results[number] for number in range(len(tasks)))

    def _work(
        self,
        waiting: queue.SimpleQueue[tuple[int, Task]],
        partial: Path,
        tally: Tally,
        results: dict[int, Result],
    ) -> None:
        client = self.client()
        buffer = memoryview(bytearray(BUFFER))
        with contextlib.closing(client):
            while True:
                try:
                    number, task = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    results[number] = self._one(task, partial, client, buffer, tally)
                except GfattachError as error:
                    results[number] = Result(task, State.FAILED, why=error.fact)
                except Exception as error:  # a worker that ended would leave its tasks undone
                    why = f"{type(error).__name__}: {error}"
                    results[number] = Result(task, State.FAILED, why=why)
                tally.add(done=1)

    def _one(self, task: Task, partial: Path, client: Client, buffer: memoryview, tally: Tally) -> Result:
        if task.occupied:
            why = f"{task.place} is there, and is {task.occupied}"
            return Result(task, State.OCCUPIED, why=why)
        begun = partial / f"{task.checksum.algorithm}-{task.checksum.hex}"
        if task.place.is_file():  # the plan has read it
            remove(begun)
            _mark(task.marks)
            return Result(task, State.KEPT, task.place.stat().st_size)
        _directory(task.place.parent)
        download = Download(task, begun, buffer, tally, self.stop, self.until)
        faults: list[str] = []
        wrong = False
        for url in self.source(task):
            for attempt in range(ATTEMPTS):
                if self.stop.is_set() or time.monotonic() > self.until:
                    return _stopped(task)
                if attempt and self.stop.wait(PAUSE * 2 ** (attempt - 1)):
                    continue
                try:
                    size = download.run(client, url)
                except DownloadError as error:
                    faults.append(error.why)
                    if error.retry:
                        continue
                    break
                except WrongBytes as error:
                    wrong = True
                    faults.append(str(error))
                    break
                if size is None:
                    return _stopped(task)
                _mark(task.marks)
                return Result(task, State.FETCHED, size, download.received)
        why = "; ".join(dict.fromkeys(faults)) or "nobody has it"
        if wrong and task.input.generated:
            why += " (a regenerated archive? forges make these anew, and their bytes change)"
        return Result(task, State.WRONG_BYTES if wrong else State.UNREACHABLE, why=why)


def _stopped(task: Task) -> Result:
    why = "the fetch ended before it was whole; run it again to go on"
    return Result(task, State.STOPPED, why=why)


def _directory(path: Path) -> None:
    """Make `path`; a link in its place is refused. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if path.name.startswith((PARTIAL, LAYER)) and path.is_symlink():
            raise StorageError(
                f"{path} is a link, and a fetch writes through none",
                "remove it",
                code="inputs.fetch.occupied",
            )
    except OSError as error:
        raise storage_error("make the directory", path, error) from error


def _mark(marks: Iterable[Path]) -> None:
    for mark in marks:
        try:
            mark.touch()
        except OSError as error:
            raise storage_error("write", mark, error) from error


def _sync(directory: Path) -> None:
    with contextlib.suppress(OSError):  # some network file systems cannot
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _forget(partial: Path, tasks: Sequence[Task]) -> None:
    """Remove beginnings of what is there by now, and of what nobody asks for any more."""
    open_ = {f"{task.checksum.algorithm}-{task.checksum.hex}" for task in tasks if not task.place.exists()}
    with contextlib.suppress(OSError):
        for each in partial.iterdir():
            if each.name not in open_ and each.name != "lock":
                each.unlink()
        if not open_:
            (partial / "lock").unlink()
            partial.rmdir()


def client_factory(
    headers: Callable[[str], Mapping[str, str]], environ: Mapping[str, str], ca_file: Path | None = None
) -> Callable[[], Client]:
    """What makes a worker its client; TLS is loaded when the first https URL comes, once for all."""
    lock = threading.Lock()
    made: list[object] = []

    def context() -> object:
        with lock:
            if not made:
                import ssl

                from gfattach.tls.context import verifying

                fresh = verifying(ca_file)
                # Authorities without a key usage, which Bazel, curl and kubectl take.
                fresh.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
                made.append(fresh)
            return made[0]

    return lambda: Client(headers, environ, context)  # type: ignore[arg-type]
