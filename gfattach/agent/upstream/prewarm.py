"""The prewarmed connection: one to a pod, opened before a client asks for it.

After a client has come another one often does, and through an API server a connection takes several
round trips. What is handed out has answered a ping a moment ago, and is not old.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.portforward import PodChannel
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError

#: Seconds that a connection waits for a client; also how long after the last client there is one. Servers
#: that are strict close a connection on which nothing was asked after 10 s, and container runtimes let a
#: second go by before they say so.
KEPT_SECONDS = 8.0

#: Seconds for its answer to the ping, after which another connection is made.
_PONG_SECONDS = 0.5

#: How many times the usual time the one that is about to be is waited for.
_PATIENCE = 2.0

#: Seconds that opening one may take.
_OPEN_SECONDS = 5.0


class Opened(Struct, frozen=True):
    """A channel to the pod of that name, and what it was opened with."""

    channel: PodChannel
    pod: str
    connection: ClusterConnection


class PrewarmedConnection:
    """Holds one at most. For one event loop; `drop` ends all of it."""

    def __init__(self) -> None:
        self._opening: asyncio.Task[None] | None = None
        self._held: Opened | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._awaited = False
        self._usual = 0.0  # seconds that opening one took the last time

    def __bool__(self) -> bool:
        """Whether one is held, or is about to be and no caller waits for it yet."""
        return self._held is not None or (self._opens() and not self._awaited)

    def prepare(self, open_one: Callable[[Deadline], Awaitable[Opened]]) -> None:
        """Open one in the background, unless there is one or will be."""
        if not self._opens() and not self._well():
            self._let_go()
            self._opening = asyncio.get_running_loop().create_task(self._open(open_one))

    async def ask(self) -> None:
        """Let go of the one that is held if it does not answer; wait for the one that is about to be, as long
        as that may take where all is well: the caller could have opened its own.
        """
        held = self._held
        if held is None:
            if self._opens():
                assert self._opening is not None
                self._awaited = True
                try:
                    await asyncio.wait({self._opening}, timeout=max(_PONG_SECONDS, _PATIENCE * self._usual))
                finally:
                    self._awaited = False
            return
        try:
            await held.channel.ping(Deadline.after(_PONG_SECONDS))
        except (ClusterError, OSError):
            if self._held is held:
                self._let_go()

    def take(self) -> Opened | None:
        """The one that is held, which is the caller's now."""
        if not self._well():
            self._let_go()
        held, self._held = self._held, None
        self._let_go()
        return held

    def drop(self) -> None:
        """Have none, and open none."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self._let_go()

    def _opens(self) -> bool:
        return self._opening is not None and not self._opening.done()

    def _well(self) -> bool:
        """Whether there is one that has not ended, as far as anybody listens."""
        held = self._held
        return held is not None and not held.channel.ended and held.channel.stream.watched

    async def _open(self, open_one: Callable[[Deadline], Awaitable[Opened]]) -> None:
        # The next caller opens one without it, and says what is wrong.
        with contextlib.suppress(ClusterError, OSError, TimeoutError):
            began, deadline = time.monotonic(), Deadline.after(_OPEN_SECONDS)
            async with asyncio.timeout(deadline.remaining()):
                opened = await open_one(deadline)
            self._usual = time.monotonic() - began
            opened.channel.hold()
            self._held = opened
            self._timer = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._let_go)

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is not None:
            self._held.channel.abort()
            self._held = None
