"""The event loop of a simulated clock: real sockets, and time that passes when nothing else can happen.

Both ends of every connection are in this process. So when no socket has anything, none has bytes under way
and no thread is at work, nothing will happen before the next timer, and the clock is put there.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import selectors
import termios
from collections.abc import Callable, Mapping
from typing import Any

from tests.harness.year.clock import Clock

#: Looks at a socket that has bytes under way, of a millisecond each: a full buffer is no reason to wait.
_PATIENCE = 50

#: How often others may run before it is believed that nothing comes.
_YIELDS = 1


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs on `clock`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = 0
        super().__init__(_Selector(clock, lambda: self._threads > 0))

    def time(self) -> float:
        """Seconds on the clock."""
        return self._clock.monotonic

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """As ever; time stands still while the thread is at work."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1

        def ended(_: object) -> None:
            self._threads -= 1

        future.add_done_callback(ended)
        return future


class _Selector(selectors.BaseSelector):
    """Sockets as they are; a time out that nothing came before has passed at once."""

    def __init__(self, clock: Clock, busy: Callable[[], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._clock = clock
        self._busy = busy

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        looks = 0
        while True:
            ready = self._real.select(0)
            if ready or (timeout is not None and timeout <= 0):
                return ready
            if self._busy() or timeout is None:
                if ready := self._real.select(0.02):
                    return ready
            elif looks < _YIELDS:
                os.sched_yield()
                looks += 1
            elif self._under_way() and looks < _PATIENCE:
                looks += 1
                if ready := self._real.select(0.001):
                    return ready
            else:
                self._clock.monotonic += timeout
                return []

    def _under_way(self) -> bool:
        """Whether the other end of a socket has not seen yet what was written to it."""
        return any(
            key.events & selectors.EVENT_WRITE or _unacknowledged(key.fd)
            for key in self._real.get_map().values()
        )


def _unacknowledged(descriptor: int) -> int:
    """Bytes in a socket's queue to the other end (SIOCOUTQ, tcp(7)); 0 for what has none."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, count)
    except OSError:
        return 0
    return count[0]
