"""What was read of a cluster at one moment, with what may not be read beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Generic, TypeVar

from msgspec import Struct

from gfattach.cluster.api.arc.listener import Listener
from gfattach.cluster.api.arc.runner import Runner, RunnerSet
from gfattach.cluster.api.arc.scale_set import ScaleSet
from gfattach.cluster.api.scheduling.deployments import Controller
from gfattach.cluster.api.scheduling.events import Event
from gfattach.cluster.api.scheduling.nodes import Node
from gfattach.cluster.api.scheduling.pods import RunnerPod
from gfattach.cluster.api.scheduling.quotas import Limits, Quota
from gfattach.cluster.api.scheduling.storage import Claim, StorageClass

Thing = TypeVar("Thing")


class MayNot(Exception):
    """Something was asked of a snapshot that this user may not read; `right` is what is missing."""

    def __init__(self, right: str) -> None:
        super().__init__(right)
        self.right = right


class Listing(Struct, Generic[Thing], frozen=True):
    """The objects of one kind that were read, and where they were not.

    `resource` is as a Role names it. `everywhere` says that all namespaces were read at once; if not,
    `namespaces` are those that were, and `refused` those that this user may not list. One that is in none of
    them was not asked.
    """

    resource: str
    items: tuple[Thing, ...] = ()
    everywhere: bool = False
    namespaces: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    def in_all(self, scope: frozenset[str] | None = None) -> tuple[Thing, ...]:
        """Every object: of all namespaces, or of `scope` where one was named. Raises MayNot."""
        if not self.everywhere:
            if scope is None:
                raise MayNot(f"list {self.resource} in all namespaces")
            missing = sorted(scope - self.namespaces)
            if missing:
                raise MayNot(f"list {self.resource} in namespace {missing[0]}")
        return self.items

    def needed(self, namespace: str) -> tuple[Thing, ...]:
        """Every object that was read, once that of `namespace` may be. Raises MayNot."""
        if not self.everywhere and namespace not in self.namespaces:
            raise MayNot(f"list {self.resource} in namespace {namespace}")
        return self.items

    def missing(self) -> Iterator[str]:
        """The rights that were missing while it was read."""
        for namespace in sorted(self.refused):
            yield f"list {self.resource} in {f'namespace {namespace}' if namespace else 'all namespaces'}"


class Leftover(Struct, frozen=True):
    """A chart's ServiceAccount: what stays when a scale set is deleted, with the chart's version."""

    namespace: str
    name: str
    scale_set: str
    version: str


class Snapshot(Struct, frozen=True):
    """One look. `at` is the API server's clock; `scope` the runners' namespaces that were named, None where
    all are meant; `controllers` the namespaces in which a controller is looked for. `installed` is False
    where the API server knows no kind of ARC's."""

    at: datetime
    server: str
    scope: frozenset[str] | None
    controllers: frozenset[str]
    installed: bool
    scale_sets: Listing[ScaleSet]
    listeners: Listing[Listener]
    runner_sets: Listing[RunnerSet]
    runners: Listing[Runner]
    pods: Listing[RunnerPod]
    nodes: Listing[Node]
    quotas: Listing[Quota]
    limits: Listing[Limits]
    claims: Listing[Claim]
    storage_classes: Listing[StorageClass]
    events: Listing[Event]
    deployments: Listing[Controller]
    leftovers: Listing[Leftover]
    requests: int = 0

    def missing(self) -> list[str]:
        """Every right that was missing, once, in the order of the kinds."""
        kinds = (getattr(self, name) for name in self.__struct_fields__)
        return [right for kind in kinds if isinstance(kind, Listing) for right in kind.missing()]
