"""The clients of one forward: each with an upstream connection of its own, and what they have moved."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from gfattach.agent.model.log import LOG
from gfattach.agent.upstream.upstream import Upstream, UpstreamConnection
from gfattach.cluster.wire.relay import Counters, relay
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.peer import peer
from gfattach.net.stream import Stream

#: Seconds that a client waits while another pod of the upstream is looked for.
HOLD_SECONDS = 3.0

#: Seconds for one attempt to reach the upstream.
DIAL_SECONDS = 5.0

#: Seconds between attempts, before a random part is taken off.
_FIRST_PAUSE, _LAST_PAUSE = 0.2, 5.0

#: Seconds between pings, and between messages that keep a channel from being idle.
_PING_SECONDS = 15.0
_KEEPALIVE_SECONDS = 60.0
_PONG_SECONDS = 5.0


class Clients:
    """Serves the connections that it is given. `recheck` is called when an upstream connection failed."""

    def __init__(self, name: str, upstream: Upstream, recheck: Callable[[], None]) -> None:
        self._name = name
        self._upstream = upstream
        self._recheck = recheck
        self._serving: dict[asyncio.Task[None], _Client] = {}
        self._ended = Counters()
        self.total = 0
        self.reconnects = 0
        self.last_use = time.monotonic()

    def __len__(self) -> int:
        """Connections that are open."""
        return len(self._serving)

    @property
    def dialling(self) -> int:
        """Those of them that have no connection to the upstream yet."""
        return sum(client.upstream is None for client in self._serving.values())

    @property
    def traffic(self) -> Counters:
        """Bytes that went to the upstream and came from it, of all connections so far."""
        parts = [self._ended, *(client.counters for client in self._serving.values())]
        return Counters(sum(part.to_pod for part in parts), sum(part.to_client for part in parts))

    @property
    def pods(self) -> tuple[str, ...]:
        """Names of the pods that connections go to."""
        connections = (client.upstream for client in self._serving.values())
        return tuple(
            sorted({connected.pod for connected in connections if connected is not None and connected.pod})
        )

    def serve(self, connection: socket.socket) -> None:
        """Take a client's connection, and see it to its end."""
        self.last_use = time.monotonic()
        self.total += 1
        client = _Client(_ClientStream(connection))
        task = asyncio.get_running_loop().create_task(self._serve(client))
        self._serving[task] = client
        task.add_done_callback(self._served)

    async def close(self) -> None:
        """End every connection at once."""
        tasks = list(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def drop_the_dead(self) -> None:
        """End the channels that do not answer: this machine was asleep, say."""
        await self._each(lambda connected: connected.channel.ping(Deadline.after(_PONG_SECONDS)))

    async def keep_alive(self) -> None:
        """Ping every channel now and then, and send what keeps it from being idle, for ever."""
        since = 0.0
        while True:
            await asyncio.sleep(_PING_SECONDS)
            since += _PING_SECONDS
            if since >= _KEEPALIVE_SECONDS:
                since = 0.0
                await self._each(lambda connected: connected.channel.keepalive())
            await self._each(lambda connected: connected.channel.ping(Deadline.after(_PONG_SECONDS)))

    async def _each(self, act: Callable[[UpstreamConnection], Awaitable[None]]) -> None:
        """Do `act` to every connection's channel; the connection of one that fails is ended."""

        async def one(task: asyncio.Task[None], connected: UpstreamConnection) -> None:
            try:
                await act(connected)
            except (ClusterError, OSError):
                LOG.info(
                    "%s: a connection to %s does not answer", self._name, connected.pod or "the upstream"
                )
                self._upstream.failed(connected)
                if not connected.channel.ended:  # the relay of one that has ended brings its client the rest
                    task.cancel()

        connections = [(task, client.upstream) for task, client in self._serving.items()]
        opened = [
            (task, connected)
            for task, connected in connections
            if connected is not None and not connected.channel.ended
        ]
        await asyncio.gather(*(one(task, connected) for task, connected in opened))

    def _served(self, task: asyncio.Task[None]) -> None:
        counters = self._serving.pop(task).counters
        self._ended.to_pod += counters.to_pod
        self._ended.to_client += counters.to_client
        self.last_use = time.monotonic()
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("%s: a connection ended with a defect", self._name, exc_info=error)

    async def _serve(self, client: _Client) -> None:
        hold = Deadline.after(HOLD_SECONDS)
        try:
            while await self._reach(client, hold):
                assert client.upstream is not None
                try:
                    await relay(client.stream, client.upstream.channel, client.counters)
                    return
                except (ClusterError, OSError) as error:
                    LOG.info("%s: a connection was lost: %s", self._name, error)
                    self._upstream.failed(client.upstream)
                    self._recheck()
                    # What has flowed is never sent again: only the client knows whether it may be.
                    if client.flowed or hold.expired:
                        return
                    self.reconnects += 1
                    await asyncio.sleep(_FIRST_PAUSE)
        finally:
            # After an orderly end both are closed already, and this does nothing.
            client.stream.abort()
            if client.upstream is not None:
                client.upstream.channel.abort()

    async def _reach(self, client: _Client, hold: Deadline) -> bool:
        """Give the client a connection to the upstream, tried again until `hold`; whether there is one."""
        pause = _FIRST_PAUSE
        while True:
            try:
                client.upstream = await self._dial(Deadline.after(DIAL_SECONDS))
                return True
            except (ClusterError, OSError, TimeoutError) as error:
                LOG.info("%s: cannot be reached: %s", self._name, error)
                self._recheck()
            if hold.remaining() <= pause:
                return False
            self.reconnects += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)

    async def _dial(self, deadline: Deadline) -> UpstreamConnection:
        async with asyncio.timeout(deadline.remaining()):
            return await self._upstream.dial(deadline, prewarm=True)


class _ClientStream(Stream):
    """A client's connection, of which it can be told at once that the client is gone."""

    def gone(self) -> bool:
        """Whether the client is gone, and nothing reads what is written."""
        return super().gone() or (self.socket.family != socket.AF_UNIX and peer.abandoned(self.socket))


class _Client(Struct):
    """A client's connection, and the one to the upstream when there is one."""

    stream: Stream
    upstream: UpstreamConnection | None = None
    counters: Counters = field(default_factory=Counters)

    @property
    def flowed(self) -> bool:
        """Whether a byte of the client's has gone, or one has come for it."""
        return bool(self.counters.to_pod or self.counters.to_client)
