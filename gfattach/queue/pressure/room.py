"""What one more runner needs, against what quotas and nodes have left: requests, as the scheduler counts.

How full a disk really is, and how much of it images take, is not in the API: it is never said here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from gfattach.cluster.api.scheduling.needs import Need, tolerated
from gfattach.cluster.api.scheduling.nodes import Node
from gfattach.cluster.api.scheduling.quotas import rows
from gfattach.cluster.api.scheduling.unschedulable import Part, parse
from gfattach.queue.causes.pods import DISK, unscheduled
from gfattach.queue.model.world import SetView, World


class QuotaRow(Struct, frozen=True):
    """A resource of a quota, in thousandths. `scoped` quotas may not count runners at all."""

    namespace: str
    quota: str
    resource: str
    needed: int
    used: int
    hard: int
    scoped: bool

    @property
    def enough(self) -> bool:
        """Whether one more runner fits."""
        return self.used + self.needed <= self.hard


class NodeRow(Struct, frozen=True):
    """What a node has left for one more runner; amounts in thousandths. `barred` says why it is none for it,
    "" where it is; `lacking` are resources of which it has too little left."""

    node: str
    barred: str
    slots: int
    disk_allocatable: int
    disk_requested: int
    lacking: tuple[str, ...]
    disk_pressure: bool

    @property
    def disk_free(self) -> int:
        """Ephemeral storage that is not requested."""
        return self.disk_allocatable - self.disk_requested

    @property
    def fits(self) -> bool:
        """Whether one more runner would be scheduled here, affinities aside."""
        return not self.barred and not self.lacking


class Refusal(Struct, frozen=True):
    """A message of the scheduler, how many pods it is about, and its parts."""

    message: str
    pods: int
    nodes: int
    parts: tuple[Part, ...]


class ClaimRow(Struct, frozen=True):
    """A generic ephemeral volume of a runner: the claim that is made for it, and how that stands."""

    claim: str
    phase: str
    storage_class: str
    binding: str


def quota_rows(world: World, views: Sequence[SetView]) -> list[QuotaRow]:
    """Every resource of every quota that counts a runner. Raises MayNot."""
    made: dict[tuple[str, str, str], QuotaRow] = {}
    for view in views:
        for quota in world.quotas_of(view.set.namespace):
            for row in rows(quota, view.set.need):
                found = QuotaRow(
                    quota.namespace, row.quota, row.resource, row.needed, row.used, row.hard, quota.scoped
                )
                key = (quota.namespace, row.quota, row.resource)
                if key not in made or made[key].needed < found.needed:
                    made[key] = found
    return list(made.values())


def node_rows(world: World, need: Need) -> list[NodeRow]:
    """Every node, the one with most free ephemeral storage first. Raises MayNot."""
    requested = world.requested_by_node
    made = [_node_row(each, requested.get(each.name, {}), need) for each in world.nodes()]
    return sorted(made, key=lambda row: (bool(row.barred), -row.disk_free, row.node))


def _node_row(node: Node, requested: dict[str, int], need: Need) -> NodeRow:
    wanted = {**need.requests, "pods": 1000}
    lacking = [
        name
        for name, value in wanted.items()
        if value and node.allocatable.get(name, 0) - requested.get(name, 0) < value
    ]
    return NodeRow(
        node.name,
        _barred(node, need),
        (node.allocatable.get("pods", 0) - requested.get("pods", 0)) // 1000,
        node.allocatable.get(DISK, 0),
        requested.get(DISK, 0),
        tuple(lacking),
        node.disk_full,
    )


def _barred(node: Node, need: Need) -> str:
    if node.cordoned:
        return "cordoned"
    if not node.ready:
        return "not ready"
    if any(node.labels.get(key) != value for key, value in need.selector.items()):
        return "does not match the node selector"
    if not tolerated(node.taints, need.tolerations):
        return "a taint is not tolerated"
    return ""


def refusals(views: Sequence[SetView]) -> list[Refusal]:
    """What the scheduler says, the commonest first. Raises MayNot."""
    said = Counter(
        pod.unscheduled[1] for view in views for _, pod in unscheduled(view) if pod.unscheduled is not None
    )
    made = []
    for message, pods in said.most_common():
        parsed = parse(message)
        made.append(Refusal(message, pods, parsed.nodes if parsed else 0, parsed.parts if parsed else ()))
    return made


def claim_rows(world: World, views: Sequence[SetView]) -> list[ClaimRow]:
    """The claims of runners that wait. Raises MayNot."""
    made: list[ClaimRow] = []
    for view in views:
        if not view.set.need.claims:
            continue
        pods = [pod for _, pod in view.waiting if pod is not None]
        names = {claim for pod in pods for claim in pod.claims}
        if not names:
            continue
        known = {
            each.meta.name: each
            for each in world.snapshot.claims.needed(view.set.namespace)
            if each.meta.namespace == view.set.namespace
        }
        classes = {each.name: each for each in world.snapshot.storage_classes.in_all()}
        default = next((each.name for each in classes.values() if each.default), "")
        for name in sorted(names):
            found = known.get(name)
            wanted = found.storage_class if found is not None else ""
            chosen = classes.get(wanted or default)
            binding = (
                "no such class"
                if chosen is None
                else "when its pod is scheduled"
                if chosen.late
                else "at once"
            )
            made.append(
                ClaimRow(name, found.phase if found else "not made", wanted or default or "none", binding)
            )
    return made
