"""A controller's Deployment: whether it is there, its arguments, its version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import items, mapping, texts
from gfattach.cluster.api.metadata import Metadata, metadata

#: What the controller's chart labels its Deployment with.
PART_OF = "gha-rs-controller"


class Controller(Struct, frozen=True):
    """ARC's controller. `available` counts pods; `arguments` are its container's, by name."""

    meta: Metadata
    wanted: int
    available: int
    arguments: Mapping[str, str]

    @property
    def watched(self) -> str:
        """The one namespace that it watches, "" for all."""
        return self.arguments.get("watch-single-namespace", "")

    @property
    def strategy(self) -> str:
        """What it does with a runner set whose specification changes: immediate or eventual."""
        return self.arguments.get("update-strategy", "immediate")


def controller(document: Mapping[str, Any]) -> Controller | None:
    """The controller's Deployment; None for any other. Raises ClusterError."""
    labels = texts(mapping(document, "metadata"), "labels")
    if labels.get("app.kubernetes.io/part-of") != PART_OF:
        return None
    spec, status = mapping(document, "spec"), mapping(document, "status")
    pod = mapping(mapping(spec, "template"), "spec")
    arguments = {}
    for container in items(pod, "containers"):
        for word in [*(container.get("command") or ()), *(container.get("args") or ())]:
            name, equals, value = str(word).partition("=")
            if equals and name.startswith("--"):
                arguments[name[2:]] = value
    wanted, available = spec.get("replicas"), status.get("availableReplicas")
    return Controller(
        metadata(document),
        wanted if isinstance(wanted, int) else 1,
        available if isinstance(available, int) else 0,
        arguments,
    )
