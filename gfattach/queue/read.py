"""Reading a snapshot: every list once, all at the same time, whole clusters where that is allowed.

Where a list of the whole cluster is refused, it is asked for in the namespaces that matter; where that is
refused too, it is remembered as unread. Nothing but `get` and `list` is asked, no Secret ever, and what is
allowed is learnt from the answers: a review of rights would be a `create`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from gfattach.cluster.api.arc import resources
from gfattach.cluster.api.arc.listener import Listener, listener
from gfattach.cluster.api.arc.runner import Runner, RunnerSet, runner, runner_set
from gfattach.cluster.api.arc.scale_set import ScaleSet, scale_set
from gfattach.cluster.api.client import Api, ApiError
from gfattach.cluster.api.fields import mapping, name_of, texts
from gfattach.cluster.api.listing import PAGE_LIMIT, Resource, absent, pages, refused
from gfattach.cluster.api.scheduling.deployments import PART_OF, Controller, controller
from gfattach.cluster.api.scheduling.events import Event, event
from gfattach.cluster.api.scheduling.nodes import Node, node
from gfattach.cluster.api.scheduling.pods import RunnerPod, pod
from gfattach.cluster.api.scheduling.quotas import Limits, Quota, limits, quota
from gfattach.cluster.api.scheduling.storage import Claim, StorageClass, claim, storage_class
from gfattach.cluster.wire.http import MOST_KEPT
from gfattach.core.deadline import Deadline
from gfattach.queue.model.question import Scope
from gfattach.queue.model.snapshot import Leftover, Listing, Snapshot

if TYPE_CHECKING:
    import asyncio

Thing = TypeVar("Thing")

#: Where charts put runners and controllers unless they are told otherwise.
RUNNERS = "arc-runners"
CONTROLLERS = "arc-systems"

_SET_LABEL = "actions.github.com/scale-set-name"
_PART_OF = "app.kubernetes.io/part-of"


class _Reading(Struct):
    """One reading under way: the connection, how many requests it took, the latest date that was told."""

    api: Api
    deadline: Deadline
    progress: Callable[[str], None]
    turns: asyncio.Semaphore
    requests: int = 0
    date: datetime | None = None
    absent: set[str] = set()

    async def items(
        self,
        resource: Resource,
        namespace: str | None,
        make: Callable[[Mapping[str, Any]], Thing | None],
        **query: str,
    ) -> list[Thing]:
        """Every object of one list, made into a fact at once. Raises ClusterError."""
        async with self.turns:
            return await self._items(resource, namespace, make, **query)

    async def _items(
        self,
        resource: Resource,
        namespace: str | None,
        make: Callable[[Mapping[str, Any]], Thing | None],
        **query: str,
    ) -> list[Thing]:
        found: list[Thing] = []
        async for page in pages(self.api, resource, namespace, self.deadline, limit=PAGE_LIMIT, **query):
            self.requests += 1
            self.date = page.date or self.date
            found += [made for each in page.items if (made := make(each)) is not None]
            if len(found) > PAGE_LIMIT:
                self.progress(f"{len(found)} {resource.plural}")
        return found

    async def listing(
        self,
        resource: Resource,
        make: Callable[[Mapping[str, Any]], Thing | None],
        namespaces: Callable[[], Awaitable[Iterable[str]]],
        *,
        named: bool = False,
        **query: str,
    ) -> Listing[Thing]:
        """The whole cluster's list, unless namespaces are `named` or it is refused; then theirs."""
        if not named:
            try:
                return Listing(
                    resource.named, tuple(await self.items(resource, None, make, **query)), everywhere=True
                )
            except ApiError as error:
                if absent(error):
                    self.absent.add(resource.plural)
                    return Listing(resource.named, everywhere=True)
                if not refused(error) or error.status == 401:
                    raise
        found: list[Thing] = []
        read, missing = set(), set() if named else {""}
        for namespace in sorted(set(await namespaces())):
            try:
                found += await self.items(resource, namespace, make, **query)
                read.add(namespace)
            except ApiError as error:
                if absent(error):
                    self.absent.add(resource.plural)
                    read.add(namespace)
                elif refused(error) and error.status != 401:
                    missing.add(namespace)
                else:
                    raise
        return Listing(resource.named, tuple(found), False, frozenset(read), frozenset(missing))


async def read_snapshot(
    api: Api, scope: Scope, deadline: Deadline, progress: Callable[[str], None] = lambda text: None
) -> Snapshot:
    """One look at the cluster. Raises ClusterError where it cannot be reached, or refuses the credential."""
    import asyncio

    reading = _Reading(api, deadline, progress, asyncio.Semaphore(MOST_KEPT))
    named = bool(scope.runners)
    sets = asyncio.ensure_future(
        reading.listing(
            resources.SCALE_SETS, scale_set, _these(scope.runners or _usual(api, RUNNERS)), named=named
        )
    )

    async def runners() -> Iterable[str]:
        found: Listing[ScaleSet] = await asyncio.shield(sets)
        if not found.everywhere:
            return scope.runners or _usual(api, RUNNERS)
        return scope.runners or {each.namespace for each in found.items} or {RUNNERS}

    async def controllers() -> Iterable[str]:
        return scope.controllers or (CONTROLLERS,)

    async def both() -> Iterable[str]:
        return {*await runners(), *await controllers()}

    async def nowhere() -> Iterable[str]:
        return ()

    def of(
        resource: Resource,
        make: Callable[[Mapping[str, Any]], Thing | None],
        where: Callable[[], Awaitable[Iterable[str]]],
        **query: str,
    ) -> Awaitable[Listing[Thing]]:
        return reading.listing(resource, make, where, named=False, **query)

    warnings = {"fieldSelector": "type=Warning"}
    # The longest first: they run while the others are asked and answered.
    work = asyncio.gather(
        of(resources.PODS, pod, both),
        of(resources.RUNNERS, runner, runners),
        of(resources.RUNNER_SETS, runner_set, runners),
        of(resources.LISTENERS, listener, controllers),
        of(resources.NODES, node, nowhere),
        of(resources.QUOTAS, quota, both),
        of(resources.LIMIT_RANGES, limits, runners),
        of(resources.CLAIMS, claim, runners),
        of(resources.STORAGE_CLASSES, storage_class, nowhere),
        of(resources.EVENTS, event, both, **warnings),
        of(resources.DEPLOYMENTS, controller, controllers, labelSelector=f"{_PART_OF}={PART_OF}"),
        of(resources.SERVICE_ACCOUNTS, _leftover, runners, labelSelector=_SET_LABEL),
    )
    try:
        made: Any = await work
        scale_sets = await sets
    finally:
        work.cancel()  # of several failures one is told, and nobody waits for the others
        sets.cancel()
    return _snapshot(reading, scope, scale_sets, made)


def _snapshot(reading: _Reading, scope: Scope, sets: Listing[ScaleSet], made: Any) -> Snapshot:
    pods: Listing[RunnerPod]
    runners: Listing[Runner]
    runner_sets: Listing[RunnerSet]
    listeners: Listing[Listener]
    nodes: Listing[Node]
    quotas: Listing[Quota]
    ranges: Listing[Limits]
    claims: Listing[Claim]
    classes: Listing[StorageClass]
    events: Listing[Event]
    deployments: Listing[Controller]
    leftovers: Listing[Leftover]
    (
        pods, runners, runner_sets, listeners, nodes, quotas, ranges, claims, classes, events, deployments,
        leftovers,
    ) = made  # fmt: skip
    return Snapshot(
        at=reading.date or datetime.now(UTC),
        server=reading.api.connection.server,
        scope=frozenset(scope.runners) or None,
        controllers=frozenset(scope.controllers or (CONTROLLERS,)),
        installed=resources.SCALE_SETS.plural not in reading.absent,
        scale_sets=sets,
        listeners=listeners,
        runner_sets=runner_sets,
        runners=runners,
        pods=pods,
        nodes=nodes,
        quotas=quotas,
        limits=ranges,
        claims=claims,
        storage_classes=classes,
        events=events,
        deployments=deployments,
        leftovers=leftovers,
        requests=reading.requests,
    )


def _usual(api: Api, name: str) -> tuple[str, ...]:
    """Where runners are looked for when not all may be listed: the usual namespace and one's own."""
    return tuple(dict.fromkeys((name, api.connection.namespace)))


def _these(namespaces: Iterable[str]) -> Callable[[], Awaitable[Iterable[str]]]:
    async def made() -> Iterable[str]:
        return namespaces

    return made


def _leftover(document: Mapping[str, Any]) -> Leftover:
    found = mapping(document, "metadata")
    labels = texts(found, "labels")
    return Leftover(
        name_of(found, "namespace"),
        name_of(found, "name"),
        labels.get(_SET_LABEL, ""),
        labels.get("app.kubernetes.io/version", ""),
    )
