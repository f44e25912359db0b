"""Work in a fork of this process: a second processor for what only reads and computes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def forked(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Begin `work` in a fork; what is yielded waits for its result, which is pickled on its way.

    It does `work` here where the fork could not be made, or did not come to a result: what it raises is
    raised here. `work` writes nothing, and takes no lock that a thread of this process may hold. The fork is
    gone at the end, however the `with` is left.
    """
    try:
        begun = _begin(work)
    except OSError:
        yield work
        return
    pid, reader = begun
    results: list[T] = []

    def result() -> T:
        if not results:
            results.append(_received(reader, work))
        return results[0]

    try:
        yield result
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _begin(work: Callable[[], T]) -> tuple[int, int]:
    """The number of the fork, and a descriptor that brings its result. Raises OSError."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid:
        os.close(writer)
        return pid, reader
    try:  # the fork: it ends here, whatever happens
        import pickle

        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(work()))
        os._exit(0)
    except BaseException:
        os._exit(1)


def _received(reader: int, work: Callable[[], T]) -> T:
    import pickle

    with os.fdopen(reader, "rb", closefd=False) as pipe:
        data = pipe.read()
    try:
        found: T = pickle.loads(data)
    except (EOFError, pickle.UnpicklingError):  # it was interrupted, or `work` raised
        return work()
    return found
