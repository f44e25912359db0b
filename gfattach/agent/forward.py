"""One forward: its listeners, its connections, and whether its upstream is well.

While the upstream is down, a connection is refused at once: a client that is refused goes on without
the cache, one that waits in silence does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from gfattach.agent import health, listener, peer
from gfattach.agent.channel import Speech
from gfattach.agent.health import HealthCheck
from gfattach.agent.listener import Listener
from gfattach.agent.log import LOG
from gfattach.agent.ports import Ports
from gfattach.agent.spec import ForwardSpec
from gfattach.agent.status import ForwardStatus, State
from gfattach.agent.upstream import Leg, Upstream
from gfattach.cluster.relay import Counters, relay
from gfattach.cluster.stream import Stream
from gfattach.deadline import Deadline
from gfattach.errors import ClusterError, StorageError

#: Seconds that a client waits while another way to the upstream is looked for.
HOLD_SECONDS = 3.0

#: Seconds for one attempt to reach the upstream.
DIAL_SECONDS = 5.0

#: Seconds between attempts, before a random part is taken off.
_FIRST_PAUSE, _LAST_PAUSE = 0.2, 5.0

#: Seconds between pings, and between messages that keep a channel from being idle.
_PING_SECONDS = 15.0
_KEEPALIVE_SECONDS = 60.0
_PONG_SECONDS = 5.0

#: Seconds until work that met a defect is begun again.
_AFTER_A_DEFECT_SECONDS = 1.0

#: Connections that one forward holds at once; more are refused.
MAX_CONNECTIONS = 512

#: Seconds between questions that broken connections ask for.
_HASTE_SECONDS = 0.1


class Forward:
    """Made by `Forward(...)`, listening after `listen`, alive between `start` and `close`.

    `changed` is called after each change between up and down.
    """

    def __init__(self, spec: ForwardSpec, upstream: Upstream, changed: Callable[[Forward], None]) -> None:
        self.spec = spec
        self._upstream = upstream
        self._changed = changed
        self._check = HealthCheck(spec.health, upstream.authority, self._dial_for_health, self.recheck)
        self._listeners: list[Listener] = []
        self._ports: Ports | None = None
        self._address: tuple[str, int] | None = None
        self._socket_path: Path | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: dict[asyncio.Task[None], _Client] = {}
        self._wake = asyncio.Event()
        self._suspect = False
        self._closing = False
        self._total = 0
        self._refused = 0
        self._reconnects = 0
        self._ended = Counters()
        self.last_use = time.monotonic()
        self.state: State = "starting"
        self._since = time.time()
        self._last_error = ""

    def listen(self, socket_directory: Path, ports: Ports) -> None:
        """Open both listeners. Raises AgentError and StorageError; neither is open then."""
        if not self.spec.listen:
            return
        self._ports = ports
        path = socket_directory / listener.socket_name(self.spec.name)
        tcp = listener.bind_tcp(self.spec.name, self.spec.address, ports)
        try:
            unix = listener.bind_unix(path)
        except BaseException:
            tcp.close()
            raise
        self._socket_path = path
        self._listeners = [Listener(tcp, self._accepted), Listener(unix, self._accepted)]
        self._address = self._listeners[0].address

    def start(self) -> None:
        """Begin to watch the upstream and to keep its channels alive."""
        self._run(self._watch)
        self._run(self._keep_alive)

    def _run(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        if self._closing:
            return
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and not self._closing:
                LOG.error("%s: a defect", self.spec.name, exc_info=task.exception())
                self._note("the agent met a defect: see its log")
                task.get_loop().call_later(_AFTER_A_DEFECT_SECONDS, self._run, work)

        task.add_done_callback(ended)

    @property
    def open_connections(self) -> int:
        """Clients' connections that are open."""
        return len(self._serving)

    @property
    def traffic(self) -> Counters:
        """Bytes that went to the upstream and came from it, of all connections so far."""
        parts = [self._ended, *(client.counters for client in self._serving.values())]
        return Counters(sum(part.to_pod for part in parts), sum(part.to_client for part in parts))

    def stop_listening(self) -> None:
        """Take no more connections."""
        if not self._closing:
            for each in self._listeners:
                each.close()
        self._closing = True

    async def close(self) -> None:
        """End everything that is left, at once."""
        self.stop_listening()
        tasks = [*self._tasks, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._check.drop()

    def recheck(self, *, suspect: bool = False) -> None:
        """Ask the upstream at once; `suspect` says that connections may be dead without having said so."""
        self._suspect = self._suspect or suspect
        self._wake.set()

    def status(self) -> ForwardStatus:
        """What there is to say of it."""
        host, port = self._address or (None, None)
        pods = {
            client.leg.pod for client in self._serving.values() if client.leg is not None and client.leg.pod
        }
        traffic = self.traffic
        return ForwardStatus(
            name=self.spec.name,
            state=self.state,
            since=self._since,
            last_error=self._last_error,
            address=host,
            port=port,
            socket_path=self._socket_path,
            open_connections=len(self._serving),
            total_connections=self._total,
            bytes_sent=traffic.to_pod,
            bytes_received=traffic.to_client,
            reconnects=self._reconnects,
            strangers=sum(each.strangers for each in self._listeners),
            refused=self._refused,
            pods=tuple(sorted(pods)),
        )

    # Clients.

    def _accepted(self, connection: socket.socket) -> None:
        if self._closing or self.state == "down" or len(self._serving) >= MAX_CONNECTIONS:
            self._refused += 1
            listener.reset(connection)
            return
        self.last_use = time.monotonic()
        self._total += 1
        if self._total == 1:
            self._remember_use()
        client = _Client(_ClientStream(connection))
        task = asyncio.get_running_loop().create_task(self._serve(client))
        self._serving[task] = client
        task.add_done_callback(self._served)

    def _remember_use(self) -> None:
        assert self._ports is not None and self._address is not None, "who is connected came in by a listener"
        try:
            self._ports.remember(self.spec.name, self._address[1], used=True)
        except StorageError as error:
            LOG.error("%s", error)

    def _served(self, task: asyncio.Task[None]) -> None:
        counters = self._serving.pop(task).counters
        self._ended.to_pod += counters.to_pod
        self._ended.to_client += counters.to_client
        self.last_use = time.monotonic()
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("%s: a connection ended with a defect", self.spec.name, exc_info=error)

    async def _serve(self, client: _Client) -> None:
        hold = Deadline.after(HOLD_SECONDS)
        try:
            while await self._reach(client, hold):
                assert client.leg is not None
                try:
                    await relay(client.stream, client.leg.channel, client.counters)
                    return
                except (ClusterError, OSError) as error:
                    LOG.info("%s: a connection was lost: %s", self.spec.name, error)
                    self._upstream.failed(client.leg)
                    self.recheck()
                    # What has flowed is never sent again: only the client knows whether it may be.
                    if client.flowed or hold.expired:
                        return
                    self._reconnects += 1
        finally:
            # After an orderly end both are closed already, and this does nothing.
            client.stream.abort()
            if client.leg is not None:
                client.leg.channel.abort()

    async def _reach(self, client: _Client, hold: Deadline) -> bool:
        """Give the client a connection to the upstream, tried again until `hold`; whether there is one."""
        pause = _FIRST_PAUSE
        while True:
            try:
                client.leg = await self._dial(Deadline.after(DIAL_SECONDS))
                return True
            except (ClusterError, OSError, TimeoutError) as error:
                LOG.info("%s: cannot be reached: %s", self.spec.name, error)
                self.recheck()
            if hold.remaining() <= pause:
                return False
            self._reconnects += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LAST_PAUSE)

    async def _dial(self, deadline: Deadline) -> Leg:
        async with asyncio.timeout(deadline.remaining()):
            return await self._upstream.dial(deadline)

    async def _dial_for_health(self) -> Speech:
        return (await self._upstream.dial(Deadline.after(health.CONNECT_SECONDS))).channel

    # Health.

    async def _watch(self) -> None:
        asked = -_HASTE_SECONDS
        while True:
            await asyncio.sleep(max(0.0, asked + _HASTE_SECONDS - time.monotonic()))
            asked = time.monotonic()
            self._wake.clear()
            suspect, self._suspect = self._suspect, False
            if suspect:
                self._check.drop()
            verdict, _ = await asyncio.gather(self._check.ask(), self._drop_the_dead(suspect))
            self._note(verdict)
            pause = (
                health.INTERVAL_SECONDS[self.spec.health.kind] if self.state == "up" else health.DOWN_SECONDS
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _note(self, wrong: str) -> None:
        before = self.state
        self.state = "down" if wrong else "up"
        if wrong:
            self._last_error = wrong
        if self.state != before:
            self._since = time.time()
            LOG.log(
                30 if wrong else 20, "%s is %s%s", self.spec.name, self.state, f": {wrong}" if wrong else ""
            )
            self._changed(self)

    async def _drop_the_dead(self, suspect: bool) -> None:
        """End the channels that do not answer, where that is suspected: this machine was asleep, say."""
        if suspect:
            await self._each(lambda leg: leg.channel.ping(Deadline.after(health.ANSWER_SECONDS)))

    async def _keep_alive(self) -> None:
        since = 0.0
        while True:
            await asyncio.sleep(_PING_SECONDS)
            since += _PING_SECONDS
            if since >= _KEEPALIVE_SECONDS:
                since = 0.0
                await self._each(lambda leg: leg.channel.keepalive())
            await self._each(lambda leg: leg.channel.ping(Deadline.after(_PONG_SECONDS)))

    async def _each(self, act: Callable[[Leg], Awaitable[None]]) -> None:
        """Do `act` to every connection's channel; the connection of one that fails is ended."""

        async def one(task: asyncio.Task[None], leg: Leg) -> None:
            try:
                await act(leg)
            except (ClusterError, OSError):
                LOG.info("%s: a connection to %s does not answer", self.spec.name, leg.pod or "the upstream")
                self._upstream.failed(leg)
                task.cancel()

        legs = [(task, client.leg) for task, client in self._serving.items() if client.leg is not None]
        await asyncio.gather(*(one(task, leg) for task, leg in legs))


class _ClientStream(Stream):
    """A client's connection, of which it can be told at once that the client is gone."""

    def gone(self) -> bool:
        """Whether nobody is there any more to read what is written."""
        return super().gone() or (self.socket.family != socket.AF_UNIX and peer.abandoned(self.socket))


@dataclass
class _Client:
    """A client's connection, and the one to the upstream when there is one."""

    stream: Stream
    leg: Leg | None = None
    counters: Counters = field(default_factory=Counters)

    @property
    def flowed(self) -> bool:
        """Whether a byte of the client's has gone, or one has come for it."""
        return bool(self.counters.to_pod or self.counters.to_client)
