"""Which pods take connections for a Service now, and which of them to try first."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from gfattach.agent.model.spec import PodUpstream
from gfattach.agent.upstream.session import ClusterSession
from gfattach.core.deadline import Deadline

if TYPE_CHECKING:
    from gfattach.cluster.api.services import ReadyPod
    from gfattach.cluster.connection import ClusterConnection

#: Seconds that the list of ready pods is believed without asking again.
PODS_SECONDS = 3.0

#: Seconds of quarantine: a pod that failed is not the first choice.
_QUARANTINE_SECONDS = 10.0


class Pods:
    """The pods of one upstream, for one event loop."""

    def __init__(self, upstream: PodUpstream, session: ClusterSession) -> None:
        self._upstream = upstream
        self._session = session
        self._ready: tuple[ReadyPod, ...] = ()
        self._known_until = 0.0
        self._asking: tuple[ClusterConnection, asyncio.Task[tuple[ReadyPod, ...]]] | None = None
        self._quarantined: dict[str, float] = {}

    async def ready(self, connection: ClusterConnection, deadline: Deadline) -> tuple[ReadyPod, ...]:
        """The ready pods, at least one. Whoever comes while they are asked for gets the same answer.

        Raises ClusterError.
        """
        if time.monotonic() < self._known_until:
            return self._ready
        if self._asking is None or self._asking[0] is not connection:
            task = asyncio.get_running_loop().create_task(self._ask(connection, deadline))
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._asking = connection, task
        # A caller that gives up does not cancel the answer of the others.
        return await asyncio.shield(self._asking[1])

    def invalidate(self) -> None:
        """Invalidate what is known and what is being answered."""
        self._known_until = 0.0
        self._asking = None

    def order(self, ready: tuple[ReadyPod, ...]) -> list[ReadyPod]:
        """All of these in some order, those that failed a moment ago last."""
        pods = random.sample(ready, len(ready))
        return sorted(pods, key=lambda pod: self.is_quarantined(pod.name))

    def is_quarantined(self, name: str) -> bool:
        """Whether the pod is in quarantine: it failed a moment ago."""
        now = time.monotonic()
        self._quarantined = {name: until for name, until in self._quarantined.items() if until > now}
        return name in self._quarantined

    def quarantine(self, name: str) -> None:
        """Put the pod, which has failed, in quarantine: it is taken last for a while."""
        self._quarantined[name] = time.monotonic() + _QUARANTINE_SECONDS

    async def _ask(self, connection: ClusterConnection, deadline: Deadline) -> tuple[ReadyPod, ...]:
        from gfattach.cluster.api.services import ready_pods

        own, pods = asyncio.current_task(), None
        try:
            pods = tuple(await ready_pods(self._session.api(connection), self._upstream, deadline))
            return pods
        finally:
            if self._asking is not None and self._asking[1] is own:  # else it was invalidated
                self._asking = None
                if pods is not None:
                    self._ready, self._known_until = pods, time.monotonic() + PODS_SECONDS
