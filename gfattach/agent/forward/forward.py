"""One forward: its listeners, its connections, and whether its upstream is well.

While the upstream is down, a connection is refused as soon as it has been asked once more: a client that
is refused goes on without the cache, one that waits in silence does not, and one that comes at the moment
of the return should not go without.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from gfattach.agent.forward import listener
from gfattach.agent.forward.clients import Clients
from gfattach.agent.forward.descriptors import within_descriptor_budget
from gfattach.agent.forward.listeners import Listeners
from gfattach.agent.forward.ports import Ports
from gfattach.agent.health import check as health
from gfattach.agent.health.check import HealthCheck
from gfattach.agent.model.log import LOG
from gfattach.agent.model.spec import ForwardSpec
from gfattach.agent.model.status import ForwardStatus, State
from gfattach.agent.upstream.channel import Channel
from gfattach.agent.upstream.upstream import TlsTerminationRoute, Upstream
from gfattach.cluster.wire.relay import Counters
from gfattach.core.deadline import Deadline

#: Seconds until work that met a defect is begun again.
_AFTER_A_DEFECT_SECONDS = 1.0

#: Connections that one forward holds at once; more are refused.
MAX_CONNECTIONS = 512

#: Seconds that a client of an upstream that is down waits for the answer to one more question, and clients
#: that may wait at once.
LAST_CHANCE_SECONDS = 0.3
_MAX_WAITING = 64

#: Seconds between questions that broken connections ask for.
_HASTE_SECONDS = 0.1


class Forward:
    """Made by `Forward(...)`, listening after `listen`, alive between `start` and `close`.

    `changed` is called after each change between up and down, `asked` after each question about its health.
    """

    def __init__(
        self,
        spec: ForwardSpec,
        upstream: Upstream,
        changed: Callable[[Forward], None],
        asked: Callable[[], None] = lambda: None,
    ) -> None:
        self.spec = spec
        self._upstream = upstream
        self._changed = changed
        self._asked = asked
        self._check = HealthCheck(
            spec.health,
            upstream.authority,
            self._dial_for_health,
            self.recheck,
            clients_judge=spec.listen and not spec.ends_tls,
        )
        self._listeners: Listeners | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        route = TlsTerminationRoute(upstream, spec.health) if spec.ends_tls else upstream
        # A client's trouble is with a new connection: the one that health has kept may be well still.
        self._clients = Clients(spec.name, route, lambda: self.recheck(anew=True))
        self._wake = asyncio.Event()
        self._suspect = self._anew = False
        self._closing = False
        self._verdict = asyncio.Event()
        self._begun = self._answered = 0  # questions, by number
        self._waiting = 0
        self._refused = 0
        self.state: State = "starting"
        self._since = time.time()
        self._last_error = ""
        self._asked_pod = ""  # the one that health has its connection to

    def listen(self, socket_directory: Path, ports: Ports) -> None:
        """Open both listeners. Raises AgentError and StorageError; neither is open then."""
        if self.spec.listen:
            self._listeners = Listeners(self.spec, socket_directory, ports, self._accepted)

    def start(self) -> None:
        """Begin to watch the upstream and to keep its channels alive."""
        self._run(self._watch)
        self._run(self._clients.keep_alive)

    def _run(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        if self._closing:
            return
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None and not self._closing:
                LOG.error("%s: a defect", self.spec.name, exc_info=error)
                self._note("the agent met a defect: see its log")
                task.get_loop().call_later(_AFTER_A_DEFECT_SECONDS, self._run, work)

        task.add_done_callback(ended)

    @property
    def open_connections(self) -> int:
        """Clients' connections that are open."""
        return len(self._clients)

    @property
    def traffic(self) -> Counters:
        """Bytes that went to the upstream and came from it, of all connections so far."""
        return self._clients.traffic

    @property
    def last_use(self) -> float:
        """When a client came or went for the last time, on `time.monotonic()`."""
        return self._clients.last_use

    @property
    def answered(self) -> int:
        """The number of the last question about its health that was answered."""
        return self._answered

    @property
    def asked_after_now(self) -> int:
        """The number of the next question: one that is being asked was begun before."""
        return self._begun + 1

    def stop_listening(self) -> None:
        """Take no more connections."""
        if not self._closing and self._listeners is not None:
            self._listeners.close()
        self._closing = True

    async def close(self) -> None:
        """End everything that is left, at once."""
        self.stop_listening()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self._clients.close(), return_exceptions=True)
        self._upstream.forget()
        self._check.drop()

    def recheck(self, *, suspect: bool = False, anew: bool = False) -> None:
        """Ask the upstream at once, `anew` over a new connection; `suspect` says that connections may be dead
        without having said so.
        """
        self._suspect = self._suspect or suspect
        self._anew = self._anew or suspect or anew
        self._wake.set()

    def status(self) -> ForwardStatus:
        """What there is to say of it."""
        listeners, traffic = self._listeners, self.traffic
        return ForwardStatus(
            name=self.spec.name,
            state=self.state,
            since=self._since,
            last_error=self._last_error,
            address=None if listeners is None else listeners.address,
            port=None if listeners is None else listeners.port,
            socket_path=None if listeners is None else listeners.socket_path,
            open_connections=len(self._clients),
            total_connections=self._clients.total,
            bytes_sent=traffic.to_pod,
            bytes_received=traffic.to_client,
            reconnects=self._clients.reconnects,
            rejected_peers=0 if listeners is None else listeners.rejected_peers,
            refused=self._refused,
            pods=self._pods(),
        )

    def _pods(self) -> tuple[str, ...]:
        """The pods that connections go to; while there is none, the one that answers for the upstream."""
        well = self._asked_pod if self.state == "up" else ""
        return self._clients.pods or ((well,) if well else ())

    # Clients.

    def _accepted(self, connection: socket.socket) -> None:
        if self._closing or self._full(connection):
            self._refuse(connection)
        elif self.state != "down":
            self._serve(connection)
        elif self._waiting >= _MAX_WAITING:
            self._refuse(connection)
        else:
            self._waiting += 1
            task = asyncio.get_running_loop().create_task(self._last_chance(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _full(self, connection: socket.socket) -> bool:
        """Whether `connection` is one too many."""
        if len(self._clients) + self._waiting >= MAX_CONNECTIONS:
            return True
        return not within_descriptor_budget(connection, self._clients.dialling + self._waiting)

    async def _last_chance(self, connection: socket.socket) -> None:
        """Serve a client if the upstream is back by now; one that is asked before it came does not count."""
        wanted = self._begun + 1
        try:
            async with asyncio.timeout(LAST_CHANCE_SECONDS):
                while self.state == "down" and self._answered < wanted:
                    self._wake.set()
                    await self._verdict.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
            if self._closing or self.state == "down":
                self._refuse(connection)
            else:
                self._serve(connection)

    def _refuse(self, connection: socket.socket) -> None:
        self._refused += 1
        listener.reset(connection)

    def _serve(self, connection: socket.socket) -> None:
        self._clients.serve(connection)
        if self._clients.total == 1:
            assert self._listeners is not None, "who is connected came in by one"
            self._listeners.used()

    async def _dial_for_health(self) -> Channel:
        phase = await self._upstream.dial(Deadline.after(health.CONNECT_SECONDS))
        self._asked_pod = phase.pod
        return phase.channel

    # Health.

    async def _watch(self) -> None:
        hasty = -_HASTE_SECONDS
        while True:
            if self._wake.is_set():
                # The first is asked for at once: every moment counts in which Nix is told of a dead cache.
                await asyncio.sleep(max(0.0, hasty + _HASTE_SECONDS - time.monotonic()))
                hasty = time.monotonic()
            self._wake.clear()
            suspect, anew, self._suspect, self._anew = self._suspect, self._anew, False, False
            if anew:
                self._check.drop()
            if suspect:
                self._upstream.forget()
                self._run(self._clients.drop_the_dead)
            self._begun += 1
            self._note(await self._check.ask())
            self._answered = self._begun
            self._verdict.set()
            self._verdict = asyncio.Event()
            self._asked()
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
            if wrong:
                self._upstream.forget()
            self._since = time.time()
            LOG.log(
                30 if wrong else 20, "%s is %s%s", self.spec.name, self.state, f": {wrong}" if wrong else ""
            )
            self._changed(self)
