"""How a forward reaches its upstream: by TCP from this machine, or through a ready pod.

Every client's connection gets an upstream connection of its own, so that one that fails takes no
other with it.
"""

from __future__ import annotations

import random
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gfattach.agent.channel import Channel, DirectChannel
from gfattach.agent.cluster_session import ClusterSession
from gfattach.agent.spec import DirectUpstream, Health, PodUpstream
from gfattach.agent.tls import TlsChannel, context_for, server_name
from gfattach.deadline import Deadline
from gfattach.errors import ClusterError

if TYPE_CHECKING:
    import ssl

    from gfattach.cluster.connection import ClusterConnection
    from gfattach.cluster.services import ReadyPod

#: Seconds that the list of ready pods is believed without asking again.
PODS_SECONDS = 3.0

#: How the codes of errors end that another pod would not mend.
_NOT_THE_POD = (".unauthorized", ".forbidden")

#: Seconds in which a pod that failed is not the first choice.
_AVOIDED_SECONDS = 10.0


@dataclass(frozen=True)
class Leg:
    """A fresh connection to an upstream, and the pod that it goes to ("" where there is none)."""

    channel: Channel
    pod: str = ""


class Upstream(Protocol):
    """A way to one upstream."""

    @property
    def authority(self) -> str:
        """Host and port as the upstream knows itself."""
        ...

    async def dial(self, deadline: Deadline) -> Leg:
        """A fresh connection. Raises ClusterError and OSError."""
        ...

    def failed(self, leg: Leg) -> None:
        """Note that `leg` was lost: what is known of the upstream may be out of date."""
        ...


class DirectWay:
    """By TCP from this machine."""

    def __init__(self, upstream: DirectUpstream) -> None:
        self._upstream = upstream

    @property
    def authority(self) -> str:
        """Host and port as the upstream knows itself."""
        host = self._upstream.host
        return f"{f'[{host}]' if ':' in host else host}:{self._upstream.port}"

    async def dial(self, deadline: Deadline) -> Leg:
        """A fresh connection. Raises ClusterError."""
        from gfattach.cluster.dial import dial_direct

        stream = await dial_direct(self._upstream.host, self._upstream.port, deadline)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return Leg(DirectChannel(stream, self.authority))

    def failed(self, leg: Leg) -> None:
        """Nothing is kept."""


class EndedTlsWay:
    """Another way, with TLS laid over it: for clients that speak in the clear."""

    def __init__(self, below: Upstream, health: Health) -> None:
        self._below = below
        self._health = health
        self._context: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        """Host and port as the upstream knows itself."""
        return self._below.authority

    async def dial(self, deadline: Deadline) -> Leg:
        """A fresh connection, once its certificate is accepted. Raises ClusterError and OSError."""
        if self._context is None:
            self._context = context_for(self._health)
        leg = await self._below.dial(deadline)
        try:
            channel = TlsChannel(leg.channel, self._context, server_name(self._health, self.authority))
            await channel.handshake()
        except BaseException:
            leg.channel.abort()
            self._below.failed(leg)
            raise
        return Leg(channel, leg.pod)

    def failed(self, leg: Leg) -> None:
        """As for the way below."""
        self._below.failed(leg)


class PodWay:
    """Through a ready pod of the Service, by the API server."""

    def __init__(self, upstream: PodUpstream, session: ClusterSession) -> None:
        self._upstream = upstream
        self._session = session
        self._ready: tuple[ReadyPod, ...] = ()
        self._known_until = 0.0
        self._avoided: dict[str, float] = {}

    @property
    def authority(self) -> str:
        """The Service's name in the cluster, as its own pods would say it."""
        return f"{self._upstream.service}.{self._upstream.namespace}"

    async def dial(self, deadline: Deadline) -> Leg:
        """A fresh connection to one of the ready pods, another where one fails. Raises ClusterError."""
        while True:
            connection = await self._session.connection()
            try:
                leg = await self._dial(connection, deadline)
            except ClusterError as error:
                self._known_until = 0.0
                if self._session.failed(connection, error) and not deadline.expired:
                    continue
                raise
            self._session.worked()
            return leg

    def failed(self, leg: Leg) -> None:
        """Ask for the ready pods before the next connection, and take another first."""
        self._known_until = 0.0
        self._avoid(leg.pod)

    async def _dial(self, connection: ClusterConnection, deadline: Deadline) -> Leg:
        from gfattach.cluster.api import Api
        from gfattach.cluster.portforward import open_channel
        from gfattach.cluster.services import ready_pods

        if time.monotonic() >= self._known_until:
            self._ready = tuple(await ready_pods(Api(connection), self._upstream, deadline))
            self._known_until = time.monotonic() + PODS_SECONDS
        failure: ClusterError | None = None
        pods = self._order()
        for tried, pod in enumerate(pods):
            # One pod whose node says nothing must leave time for the others.
            share = deadline.within(deadline.remaining() / (len(pods) - tried))
            try:
                channel = await open_channel(connection, pod.namespace, pod.name, pod.port, share)
                return Leg(channel, pod.name)
            except ClusterError as error:
                self._avoid(pod.name)
                failure = error
                if deadline.expired or error.code.endswith(_NOT_THE_POD):
                    break
        assert failure is not None, "ready_pods gives at least one"
        raise failure

    def _order(self) -> list[ReadyPod]:
        """All ready pods in some order, those that failed a moment ago last."""
        now = time.monotonic()
        self._avoided = {name: until for name, until in self._avoided.items() if until > now}
        pods = random.sample(self._ready, len(self._ready))
        return sorted(pods, key=lambda pod: pod.name in self._avoided)

    def _avoid(self, name: str) -> None:
        self._avoided[name] = time.monotonic() + _AVOIDED_SECONDS
