"""Nodes: what they can hold, and what keeps pods away from them."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import items, mapping, name_of, text, texts
from gfattach.cluster.api.scheduling.needs import Taint
from gfattach.cluster.api.scheduling.quantity import Amounts, amounts


class Node(Struct, frozen=True):
    """A node. `cordoned` is spec.unschedulable; `pressure` are conditions that are True besides Ready."""

    name: str
    ready: bool
    cordoned: bool
    taints: tuple[Taint, ...]
    labels: Mapping[str, str]
    allocatable: Amounts
    pressure: tuple[str, ...]

    @property
    def lost(self) -> bool:
        """Whether nothing has been heard of its kubelet."""
        gone = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
        return not self.ready or any(key in gone for key, _, _ in self.taints)

    @property
    def disk_full(self) -> bool:
        """Whether the kubelet says DiskPressure, or a taint does."""
        return "DiskPressure" in self.pressure or any(
            key == "node.kubernetes.io/disk-pressure" for key, _, _ in self.taints
        )


def node(document: Mapping[str, Any]) -> Node:
    """A Node. Raises ClusterError."""
    found, spec, status = (mapping(document, key) for key in ("metadata", "spec", "status"))
    conditions = {text(each, "type"): text(each, "status") for each in items(status, "conditions")}
    return Node(
        intern(name_of(found, "name")),
        conditions.get("Ready") == "True",
        spec.get("unschedulable") is True,
        tuple(
            (text(each, "key"), text(each, "value"), text(each, "effect")) for each in items(spec, "taints")
        ),
        texts(found, "labels"),
        amounts(mapping(status, "allocatable")),
        tuple(kind for kind, value in conditions.items() if value == "True" and kind != "Ready"),
    )
