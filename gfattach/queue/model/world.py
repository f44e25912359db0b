"""A snapshot with its joins: by ownerReferences and by the references of specs, never by parts of names.

Everything is looked up when it is asked for. What this user may not read raises MayNot then, and not before:
a question that does not need it is answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from msgspec import Struct

from gfattach.cluster.api.arc.listener import Listener
from gfattach.cluster.api.arc.runner import Runner, RunnerSet
from gfattach.cluster.api.arc.scale_set import ScaleSet
from gfattach.cluster.api.scheduling.deployments import Controller
from gfattach.cluster.api.scheduling.events import Event
from gfattach.cluster.api.scheduling.nodes import Node
from gfattach.cluster.api.scheduling.pods import RunnerPod
from gfattach.cluster.api.scheduling.quotas import Quota
from gfattach.queue.model.snapshot import MayNot, Snapshot

Thing = TypeVar("Thing")


class World:
    """The objects of one snapshot and how they belong together."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.now: datetime = snapshot.at

    def age(self, since: datetime) -> timedelta:
        """How long ago that was, by the API server's clock."""
        return self.now - since

    def scale_sets(self) -> tuple[ScaleSet, ...]:
        """Every scale set. Raises MayNot."""
        return self.snapshot.scale_sets.in_all(self.snapshot.scope)

    @cached_property
    def views(self) -> dict[str, SetView]:
        """A view of every scale set that was read, by uid."""
        return {each.meta.uid: SetView(self, each) for each in self.snapshot.scale_sets.items}

    def view(self, found: ScaleSet) -> SetView:
        """What belongs to `found`."""
        return self.views[found.meta.uid]

    def controllers(self) -> tuple[Controller, ...]:
        """The controllers of ARC that are deployed. Raises MayNot."""
        return self.snapshot.deployments.in_all(self.snapshot.controllers)

    def controller_for(self, namespace: str) -> Controller | None:
        """The controller that watches `namespace`, one that watches all as a rule; None where there is none.
        Raises MayNot."""
        found = self.controllers()
        own = [each for each in found if each.watched in ("", namespace)]
        return next(iter(sorted(own, key=lambda each: each.watched == "")), None)

    def listeners(self) -> tuple[Listener, ...]:
        """Every listener. Raises MayNot, also where a namespace was guessed and shows nothing of ARC's."""
        listing = self.snapshot.listeners
        found = listing.in_all(self.snapshot.controllers)
        if not found and not listing.everywhere:
            try:
                here = self.controllers()
            except MayNot:
                here = ()
            if not here:  # the controller may be in another namespace
                raise MayNot(f"list {listing.resource} in all namespaces")
        return found

    @cached_property
    def _listeners_by_set(self) -> dict[tuple[str, str], list[Listener]]:
        return grouped(self.snapshot.listeners.items, lambda each: (each.set_namespace, each.set_name))

    def listeners_of(self, found: ScaleSet) -> list[Listener]:
        """The listeners that name the scale set in their spec. Raises MayNot."""
        self.listeners()
        return self._listeners_by_set.get((found.namespace, found.name), [])

    @cached_property
    def _runner_sets_by_owner(self) -> dict[str, list[RunnerSet]]:
        return grouped(self.snapshot.runner_sets.items, lambda each: each.meta.owner)

    def runner_sets_of(self, found: ScaleSet) -> list[RunnerSet]:
        """The runner sets that the scale set owns, the newest first. Raises MayNot."""
        self.snapshot.runner_sets.needed(found.namespace)
        owned = self._runner_sets_by_owner.get(found.meta.uid, [])
        return sorted(owned, key=lambda each: each.meta.created, reverse=True)

    @cached_property
    def _runners_by_owner(self) -> dict[str, list[Runner]]:
        return grouped(self.snapshot.runners.items, lambda each: each.meta.owner)

    def runners_of(self, found: RunnerSet) -> list[Runner]:
        """The runners that the runner set owns. Raises MayNot."""
        self.snapshot.runners.needed(found.namespace)
        return self._runners_by_owner.get(found.meta.uid, [])

    @cached_property
    def _pods_by_owner(self) -> dict[str, list[RunnerPod]]:
        owned = (each for each in self.snapshot.pods.items if each.meta.owner)
        return grouped(owned, lambda each: each.meta.owner)

    @cached_property
    def _pods_by_name(self) -> dict[tuple[str, str], RunnerPod]:
        return {(each.namespace, each.name): each for each in self.snapshot.pods.items}

    @cached_property
    def _job_pods(self) -> dict[tuple[str, str], list[RunnerPod]]:
        named = (each for each in self.snapshot.pods.items if each.runner)
        return grouped(named, lambda each: (each.namespace, each.runner))

    def pod_of(self, found: Runner | Listener) -> RunnerPod | None:
        """The pod that it owns, one that lives before one that ends. Raises MayNot.

        A pod of another runner that bears its name is none of it.
        """
        self.snapshot.pods.needed(found.namespace)
        owned = self._pods_by_owner.get(found.meta.uid, [])
        living = [each for each in owned if each.meta.deleted is None]
        return max(living or owned, key=lambda each: each.meta.created, default=None)

    def job_pod_of(self, found: Runner) -> RunnerPod | None:
        """The pod in which a runner of container mode `kubernetes` runs its job. Raises MayNot."""
        self.snapshot.pods.needed(found.namespace)
        return next(iter(self._job_pods.get((found.namespace, found.name), [])), None)

    def all_pods(self) -> tuple[RunnerPod, ...]:
        """Every pod of the cluster. Raises MayNot."""
        return self.snapshot.pods.in_all()

    def nodes(self) -> tuple[Node, ...]:
        """Every node. Raises MayNot."""
        return self.snapshot.nodes.in_all()

    @cached_property
    def _nodes_by_name(self) -> dict[str, Node]:
        return {each.name: each for each in self.snapshot.nodes.items}

    def node(self, name: str) -> Node | None:
        """The node of that name; None where there is none. Raises MayNot."""
        self.nodes()
        return self._nodes_by_name.get(name)

    @cached_property
    def requested_by_node(self) -> dict[str, dict[str, int]]:
        """What the pods of each node request, in thousandths, and their number as `pods`. Raises MayNot."""
        made: dict[str, dict[str, int]] = {}
        for each in self.all_pods():
            if each.holds_node:
                own = made.setdefault(each.node, {})
                own["pods"] = own.get("pods", 0) + 1000
                for name, value in each.requests.items():
                    own[name] = own.get(name, 0) + value
        return made

    def quotas_of(self, namespace: str) -> list[Quota]:
        """The quotas of a namespace. Raises MayNot."""
        return [each for each in self.snapshot.quotas.needed(namespace) if each.namespace == namespace]

    @cached_property
    def _events(self) -> dict[tuple[str, str, str], list[Event]]:
        return grouped(self.snapshot.events.items, lambda each: (each.namespace, each.kind, each.name))

    def events_of(self, kind: str, namespace: str, name: str) -> list[Event]:
        """Warnings about an object, the newest first. Raises MayNot."""
        self.snapshot.events.needed(namespace)
        found = self._events.get((namespace, kind, name), [])
        return sorted(found, key=lambda each: each.last, reverse=True)


class Counts(Struct, frozen=True):
    """Runners of one or more scale sets. `current` is pending, running and failed ones, as the controller
    counts against the maximum; `booting` run and are not ready; `deleting` are being deleted."""

    current: int
    busy: int
    idle: int
    booting: int
    pending: int
    failed: int
    deleting: int


class SetView:
    """A scale set with all that belongs to it. What may not be read raises MayNot where it is asked for."""

    def __init__(self, world: World, found: ScaleSet) -> None:
        self.world = world
        self.set = found

    @cached_property
    def listeners(self) -> list[Listener]:
        """The listeners that name it."""
        return self.world.listeners_of(self.set)

    @cached_property
    def listener(self) -> Listener | None:
        """The listener that it has: of several, the one whose name is as it should be."""
        wanted = self.set.listener_names()
        named = [each for each in self.listeners if each.name in wanted]
        return next(iter(named or self.listeners), None)

    @cached_property
    def runner_sets(self) -> list[RunnerSet]:
        """Its runner sets, the newest first."""
        return self.world.runner_sets_of(self.set)

    @cached_property
    def runner_set(self) -> RunnerSet | None:
        """The newest of them: the one that is scaled."""
        return next(iter(self.runner_sets), None)

    @cached_property
    def runners(self) -> list[Runner]:
        """Every runner of all its runner sets."""
        if not self.runner_sets:
            self.world.snapshot.runners.needed(self.set.namespace)
        return [runner for each in self.runner_sets for runner in self.world.runners_of(each)]

    @cached_property
    def counted(self) -> list[Runner]:
        """The runners that hold a slot."""
        return [each for each in self.runners if each.counted]

    @cached_property
    def counts(self) -> Counts:
        """Them by what they do."""
        return count(self.runners)

    @property
    def wanted(self) -> int:
        """How many runners its listener asks for."""
        return self.runner_set.replicas if self.runner_set is not None else 0

    @property
    def full(self) -> bool:
        """Whether no further runner will be made: at the maximum, or at what the listener asks for."""
        current = self.counts.current
        return current > 0 and (current >= self.set.maximum or current >= self.wanted)

    def pod(self, runner: Runner) -> RunnerPod | None:
        """The pod of a runner."""
        return self.world.pod_of(runner)

    @cached_property
    def waiting(self) -> list[tuple[Runner, RunnerPod | None]]:
        """Runners that are to come up, with their pods."""
        return [(each, self.pod(each)) for each in self.counted if each.phase == "Pending"]


def count(runners: Iterable[Runner]) -> Counts:
    """Runners by what they do."""
    made: dict[str, int] = defaultdict(int)
    for each in runners:
        if each.meta.deleted is not None:
            made["deleting"] += 1
        if not each.counted:
            continue
        made["current"] += 1
        if each.phase != "Running":
            made[each.phase.lower()] += 1
        else:
            made["busy" if each.busy else "idle" if each.ready else "booting"] += 1
    names = ("current", "busy", "idle", "booting", "pending", "failed", "deleting")
    return Counts(*(made[name] for name in names))


Key = TypeVar("Key")


def grouped(things: Iterable[Thing], key: Callable[[Thing], Key]) -> dict[Key, list[Thing]]:
    """`things` by their key, in their order."""
    made: dict[Key, list[Thing]] = {}
    for each in things:
        made.setdefault(key(each), []).append(each)
    return made
