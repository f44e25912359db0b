"""One event loop in a thread of its own, for what threads without a loop ask of a cluster.

It lives as long as the process: connections that are kept, or close on their own time, outlive the
question that opened them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")

#: Seconds that the loop's thread gets to end with the process.
_END_SECONDS = 1.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run_sync(work: Coroutine[Any, Any, Answer]) -> Answer:
    """What `work` comes to. Blocks, and so must not be called from a loop; `work` keeps its own deadline."""
    future = asyncio.run_coroutine_threadsafe(work, loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()  # an interrupt of the caller's: no caller waits for the rest
        raise


def loop() -> asyncio.AbstractEventLoop:
    """The loop, started when it is first asked for."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_loop.run_forever, name="cluster", daemon=True)
            thread.start()
            atexit.register(_end, _loop, thread)
        return _loop


def when_gone(owner: object, callback: Callable[[], None]) -> None:
    """Have the loop call `callback` once `owner` is forgotten; at the process's end nothing is called."""
    weakref.finalize(owner, _soon, loop(), callback).atexit = False


def _soon(running: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # it was closed
        running.call_soon_threadsafe(callback)


def _end(ending: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """What still waits is cancelled, so that nothing is said of it while the process ends."""
    with contextlib.suppress(RuntimeError, TimeoutError):
        asyncio.run_coroutine_threadsafe(_cancel_the_others(), ending).result(_END_SECONDS)
    _soon(ending, ending.stop)
    thread.join(_END_SECONDS)
    if not ending.is_running():
        ending.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_END_SECONDS / 2)
