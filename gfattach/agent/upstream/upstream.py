"""How a forward reaches its upstream: by TCP from this machine, or through a ready pod.

Every client's connection gets an upstream connection of its own, so that one that fails takes no
other with it.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gfattach.agent.model.spec import DirectUpstream, Health, PodUpstream
from gfattach.agent.upstream.ahead import Ahead, Opened
from gfattach.agent.upstream.channel import Channel, DirectChannel
from gfattach.agent.upstream.pods import Pods
from gfattach.agent.upstream.session import ClusterSession
from gfattach.agent.upstream.tls import TlsChannel, context_for, server_name
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError

if TYPE_CHECKING:
    import ssl

    from gfattach.cluster.connection import ClusterConnection

#: How the codes of errors end that another pod would not mend.
_NOT_THE_POD = (".unauthorized", ".forbidden")


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

    async def dial(self, deadline: Deadline, *, ahead: bool = False) -> Leg:
        """A connection that nobody has used; with `ahead` also one that was opened before, and after it the
        next. Raises ClusterError and OSError.
        """
        ...

    def failed(self, leg: Leg) -> None:
        """Note that `leg` was lost: what is known of the upstream may be out of date."""
        ...

    def forget(self) -> None:
        """Close what is kept for the next connection."""
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

    async def dial(self, deadline: Deadline, *, ahead: bool = False) -> Leg:
        """A fresh connection. Raises ClusterError."""
        from gfattach.cluster.wire.dial import dial_direct

        stream = await dial_direct(self._upstream.host, self._upstream.port, deadline)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return Leg(DirectChannel(stream, self.authority))

    def failed(self, leg: Leg) -> None:
        """Nothing is known."""

    def forget(self) -> None:
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

    async def dial(self, deadline: Deadline, *, ahead: bool = False) -> Leg:
        """A connection, once its certificate is accepted. Raises ClusterError and OSError."""
        if self._context is None:
            self._context = context_for(self._health)
        leg = await self._below.dial(deadline, ahead=ahead)
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

    def forget(self) -> None:
        """As for the way below."""
        self._below.forget()


class PodWay:
    """Through a ready pod of the Service, by the API server."""

    def __init__(self, upstream: PodUpstream, session: ClusterSession) -> None:
        self._upstream = upstream
        self._session = session
        self._pods = Pods(upstream, session)
        self._ahead = Ahead()

    @property
    def authority(self) -> str:
        """The Service's name in the cluster, as its own pods would say it."""
        return f"{self._upstream.service}.{self._upstream.namespace}"

    async def dial(self, deadline: Deadline, *, ahead: bool = False) -> Leg:
        """A connection to one of the ready pods, another where one fails. Raises ClusterError."""
        while True:
            connection = await self._session.connection()
            try:
                opened = (await self._taken(connection, deadline) if ahead else None) or await self._open(
                    connection, deadline
                )
            except ClusterError as error:
                self._pods.doubt()
                if self._session.failed(connection, error) and not deadline.expired:
                    continue
                raise
            self._session.worked()
            if ahead:
                self._ahead.prepare(partial(self._open, connection))
            return Leg(opened.channel, opened.pod)

    def failed(self, leg: Leg) -> None:
        """Ask for the ready pods before the next connection, and take another first."""
        self._pods.doubt()
        self._pods.avoid(leg.pod)
        self._ahead.drop()

    def forget(self) -> None:
        """Close what is kept for the next connection."""
        self._ahead.drop()
        self._session.forget()

    async def _taken(self, connection: ClusterConnection, deadline: Deadline) -> Opened | None:
        """The connection that was opened ahead, if it is as good as a fresh one would be."""
        if not self._ahead:
            return None
        pods, _ = await asyncio.gather(self._pods.ready(connection, deadline), self._ahead.ask())
        opened = self._ahead.take()
        if opened is None:
            return None
        ready = any(pod.name == opened.pod for pod in pods)
        if opened.connection is connection and ready and not self._pods.avoids(opened.pod):
            return opened
        opened.channel.abort()
        return None

    async def _open(self, connection: ClusterConnection, deadline: Deadline) -> Opened:
        from gfattach.cluster.wire.portforward import open_channel

        failure: ClusterError | None = None
        pods = self._pods.order(await self._pods.ready(connection, deadline))
        for tried, pod in enumerate(pods):
            # One pod whose node says nothing must leave time for the others.
            share = deadline.within(deadline.remaining() / (len(pods) - tried))
            try:
                channel = await open_channel(connection, pod.namespace, pod.name, pod.port, share)
                return Opened(channel, pod.name, connection)
            except ClusterError as error:
                self._pods.avoid(pod.name)
                failure = error
                if deadline.expired or error.code.endswith(_NOT_THE_POD):
                    break
        assert failure is not None, "ready_pods gives at least one"
        raise failure
