"""The servers' ends of connections: cut, or silent without a word, as a network does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Connections:
    """A server's connections. `silent` ones are accepted, and nothing is said on them any more."""

    def __init__(
        self, handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        self._handle = handle
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._muted: set[asyncio.StreamWriter] = set()
        self.silent = False

    def __len__(self) -> int:
        """Those that are open."""
        return len(self._open)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For `asyncio.start_server`."""
        task = asyncio.current_task()
        assert task is not None
        self._open[writer] = task
        try:
            if self.silent:
                await say_nothing(reader)
            else:
                await self._handle(reader, writer)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            if writer in self._muted:
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await say_nothing(reader)
        finally:
            self._open.pop(writer, None)
            self._muted.discard(writer)
            writer.transport.abort()

    def cut(self) -> None:
        """Reset all of them."""
        for writer in list(self._open):
            writer.transport.abort()

    def mute(self) -> None:
        """Have all that are open say nothing any more, and not end."""
        for writer, task in list(self._open.items()):
            self.silence(writer, task)

    def silence(self, writer: asyncio.StreamWriter, task: asyncio.Task[None] | None = None) -> None:
        """Have this one say nothing any more."""
        if writer in self._open and writer not in self._muted:
            self._muted.add(writer)
            (task or self._open[writer]).cancel()


async def say_nothing(reader: asyncio.StreamReader) -> None:
    """Take what comes, and answer nothing."""
    while await reader.read(65536):
        pass
