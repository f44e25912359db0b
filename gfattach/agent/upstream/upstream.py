"""The routes of a forward to its upstream: by TCP from this machine, or through a ready pod.

Every client's connection gets an upstream connection of its own, so that one that fails takes no
other with it.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gfattach.agent.model.spec import DirectUpstream, Health, PodUpstream
from gfattach.agent.upstream.channel import Channel, DirectChannel
from gfattach.agent.upstream.pods import Pods
from gfattach.agent.upstream.prewarm import Opened, PrewarmedConnection
from gfattach.agent.upstream.session import ClusterSession
from gfattach.agent.upstream.tls import TlsChannel, Trust, server_name
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError

if TYPE_CHECKING:
    from gfattach.cluster.connection import ClusterConnection

#: How the codes of errors end that another pod would not mend.
_NOT_THE_POD = (".unauthorized", ".forbidden")


class UpstreamConnection(Struct, frozen=True):
    """A fresh connection to an upstream, and the pod that it goes to ("" where there is none)."""

    channel: Channel
    pod: str = ""


class Upstream(Protocol):
    """A route to one upstream."""

    @property
    def authority(self) -> str:
        """Host and port as the upstream knows itself."""
        ...

    async def dial(self, deadline: Deadline, *, prewarm: bool = False) -> UpstreamConnection:
        """A connection that is unused; with `prewarm` also one that was opened before, and after it the
        next. Raises ClusterError and OSError.
        """
        ...

    def failed(self, connected: UpstreamConnection) -> None:
        """Note that `connected` was lost: what is known of the upstream may be out of date."""
        ...

    def forget(self) -> None:
        """Close what is kept for the next connection."""
        ...


class DirectRoute:
    """By TCP from this machine."""

    def __init__(self, upstream: DirectUpstream) -> None:
        self._upstream = upstream

    @property
    def authority(self) -> str:
        """Host and port as the upstream knows itself."""
        host = self._upstream.host
        return f"{f'[{host}]' if ':' in host else host}:{self._upstream.port}"

    async def dial(self, deadline: Deadline, *, prewarm: bool = False) -> UpstreamConnection:
        """A fresh connection. Raises ClusterError."""
        from gfattach.cluster.wire.dial import dial_direct

        stream = await dial_direct(self._upstream.host, self._upstream.port, deadline)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return UpstreamConnection(DirectChannel(stream, self.authority))

    def failed(self, connected: UpstreamConnection) -> None:
        """Nothing is known."""

    def forget(self) -> None:
        """Nothing is kept."""


class TlsTerminationRoute:
    """Another route, with TLS laid over it: for clients that speak in plaintext."""

    def __init__(self, below: Upstream, health: Health) -> None:
        self._below = below
        self._health = health
        self._trust = Trust(health)

    @property
    def authority(self) -> str:
        """Host and port as the upstream knows itself."""
        return self._below.authority

    async def dial(self, deadline: Deadline, *, prewarm: bool = False) -> UpstreamConnection:
        """A connection, once its certificate is accepted. Raises ClusterError and OSError."""
        context = self._trust.context()
        connected = await self._below.dial(deadline, prewarm=prewarm)
        try:
            channel = TlsChannel(connected.channel, context, server_name(self._health, self.authority))
            await channel.handshake()
        except BaseException:
            connected.channel.abort()
            self._below.failed(connected)
            raise
        return UpstreamConnection(channel, connected.pod)

    def failed(self, connected: UpstreamConnection) -> None:
        """As for the route below."""
        self._below.failed(connected)

    def forget(self) -> None:
        """As for the route below."""
        self._below.forget()


class PodRoute:
    """Through a ready pod of the Service, by the API server."""

    def __init__(self, upstream: PodUpstream, session: ClusterSession) -> None:
        self._upstream = upstream
        self._session = session
        self._pods = Pods(upstream, session)
        self._prewarmed = PrewarmedConnection()

    @property
    def authority(self) -> str:
        """The Service's name in the cluster, as its own pods would say it."""
        return f"{self._upstream.service}.{self._upstream.namespace}"

    async def dial(self, deadline: Deadline, *, prewarm: bool = False) -> UpstreamConnection:
        """A connection to one of the ready pods, another where one fails. Raises ClusterError."""
        while True:
            connection = await self._session.connection()
            try:
                opened = (await self._taken(connection, deadline) if prewarm else None) or await self._open(
                    connection, deadline
                )
            except ClusterError as error:
                self._pods.invalidate()
                if self._session.failed(connection, error) and not deadline.expired:
                    continue
                raise
            self._session.worked()
            if prewarm:
                self._prewarmed.prepare(partial(self._open, connection))
            return UpstreamConnection(opened.channel, opened.pod)

    def failed(self, connected: UpstreamConnection) -> None:
        """Ask for the ready pods before the next connection, and take another first."""
        self._pods.invalidate()
        self._pods.quarantine(connected.pod)
        self._prewarmed.drop()

    def forget(self) -> None:
        """Close what is kept for the next connection."""
        self._prewarmed.drop()
        self._session.forget()

    async def _taken(self, connection: ClusterConnection, deadline: Deadline) -> Opened | None:
        """The prewarmed connection, if it is as good as a fresh one would be."""
        if not self._prewarmed:
            return None
        pods, _ = await asyncio.gather(self._pods.ready(connection, deadline), self._prewarmed.ask())
        opened = self._prewarmed.take()
        if opened is None:
            return None
        ready = any(pod.name == opened.pod for pod in pods)
        if opened.connection is connection and ready and not self._pods.is_quarantined(opened.pod):
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
                self._pods.quarantine(pod.name)
                failure = error
                if deadline.expired or error.code.endswith(_NOT_THE_POD):
                    break
        assert failure is not None, "ready_pods gives at least one"
        raise failure
