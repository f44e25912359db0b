"""From documents to what the product reads, by its own readers, with rights taken away."""

from __future__ import annotations

from typing import Any

from gfattach.cluster.api.arc import resources
from gfattach.cluster.api.arc.listener import listener
from gfattach.cluster.api.arc.runner import runner, runner_set
from gfattach.cluster.api.arc.scale_set import scale_set
from gfattach.cluster.api.scheduling.deployments import controller
from gfattach.cluster.api.scheduling.events import event
from gfattach.cluster.api.scheduling.nodes import node
from gfattach.cluster.api.scheduling.pods import pod
from gfattach.cluster.api.scheduling.quotas import limits, quota
from gfattach.cluster.api.scheduling.storage import claim, storage_class
from gfattach.queue.model.snapshot import Listing, Snapshot
from gfattach.queue.model.world import World
from gfattach.queue.read import _leftover
from tests.harness.arc.objects import CONTROLLERS, Fleet

#: The snapshot's fields: what each reads, of which kind, with which reader.
KINDS = {
    "scale_sets": (resources.SCALE_SETS, "AutoscalingRunnerSet", scale_set),
    "listeners": (resources.LISTENERS, "AutoscalingListener", listener),
    "runner_sets": (resources.RUNNER_SETS, "EphemeralRunnerSet", runner_set),
    "runners": (resources.RUNNERS, "EphemeralRunner", runner),
    "pods": (resources.PODS, "Pod", pod),
    "nodes": (resources.NODES, "Node", node),
    "quotas": (resources.QUOTAS, "ResourceQuota", quota),
    "limits": (resources.LIMIT_RANGES, "LimitRange", limits),
    "claims": (resources.CLAIMS, "PersistentVolumeClaim", claim),
    "storage_classes": (resources.STORAGE_CLASSES, "StorageClass", storage_class),
    "events": (resources.EVENTS, "Event", event),
    "deployments": (resources.DEPLOYMENTS, "Deployment", controller),
    "leftovers": (resources.SERVICE_ACCOUNTS, "ServiceAccount", _leftover),
}


def snapshot(fleet: Fleet, denied: tuple[str, ...] = (), **more: Any) -> Snapshot:
    """The whole cluster at once; of the fields in `denied` nothing may be read."""
    made = {}
    for name, (resource, kind, read) in KINDS.items():
        if name in denied:
            made[name] = Listing(resource.named, refused=frozenset({""}))
        else:
            found = (read(document) for document in fleet.of(kind))
            items = tuple(each for each in found if each is not None)
            made[name] = Listing(resource.named, items, everywhere=True)
    standing = {
        "server": "https://recorded",
        "scope": None,
        "controllers": frozenset({CONTROLLERS}),
        "installed": True,
    }
    return Snapshot(at=fleet.now, **{**standing, **made, **more})


def world(fleet: Fleet, denied: tuple[str, ...] = (), **more: Any) -> World:
    """The same, joined."""
    return World(snapshot(fleet, denied, **more))
