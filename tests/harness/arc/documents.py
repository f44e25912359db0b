"""Documents of a Kubernetes API: pods, nodes, events and quotas of a cluster, with their metadata.

Ages are seconds before `NOW`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Document = dict[str, Any]

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
RUNNERS = "arc-runners"


def ago(seconds: float) -> str:
    """A time of the API, so many seconds before NOW."""
    return written(NOW - timedelta(seconds=seconds))


def written(time: datetime) -> str:
    """A time as the API writes one."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


class Documents:
    """The documents of one cluster, in the order in which they were made."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self._uids = itertools.count(1)

    def add(self, version: str, kind: str, name: str, namespace: str, age: float, **parts: Any) -> Document:
        """A document; `labels`, `annotations`, `owner` and `finalizers` go into its metadata."""
        metadata: Document = {"name": name, "uid": f"uid-{next(self._uids)}", "creationTimestamp": ago(age)}
        if namespace:
            metadata["namespace"] = namespace
        owner = parts.pop("owner", None)
        if owner is not None:
            metadata["ownerReferences"] = [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                }
            ]
        for key in ("labels", "annotations", "finalizers"):
            if parts.get(key):
                metadata[key] = parts.pop(key)
            parts.pop(key, None)
        document = {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}
        self.documents.append(document)
        return document

    def remove(self, *documents: Document) -> None:
        """Take documents out again."""
        self.documents = [each for each in self.documents if not any(each is gone for gone in documents)]

    def of(self, kind: str) -> Iterator[Document]:
        """The documents of a kind."""
        return (each for each in self.documents if each["kind"] == kind)

    def pod(
        self,
        name: str,
        namespace: str,
        age: float,
        *,
        owner: Document | None = None,
        spec: Document,
        phase: str = "Running",
        node: str = "node-1",
        labels: Mapping[str, str] | None = None,
    ) -> Document:
        """A pod, ready where it runs."""
        up = phase == "Running"
        conditions = [{"type": "Ready", "status": str(up)}]
        if node:
            conditions.append({"type": "PodScheduled", "status": "True"})
        return self.add(
            "v1",
            "Pod",
            name,
            namespace,
            age,
            owner=owner,
            labels=dict(labels or {}),
            spec={**spec, **({"nodeName": node} if node else {})},
            status={
                "phase": phase,
                "conditions": conditions,
                "containerStatuses": [
                    {
                        "name": each["name"],
                        "image": each["image"],
                        "imageID": "",
                        "ready": up,
                        "restartCount": 0,
                        "state": {"running": {"startedAt": ago(age)}}
                        if up
                        else {"waiting": {"reason": "ContainerCreating"}},
                    }
                    for each in spec["containers"]
                ],
            },
        )

    def node(self, name: str = "node-1", *, disk: str = "100Gi", pods: str = "110", **parts: Any) -> Document:
        """A node that is ready."""
        room = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": disk, "pods": pods}
        return self.add(
            "v1",
            "Node",
            name,
            "",
            864000,
            labels={"kubernetes.io/hostname": name, **parts.pop("labels", {})},
            spec=parts.pop("spec", {}),
            status={
                "conditions": parts.pop("conditions", [{"type": "Ready", "status": "True"}]),
                "allocatable": room,
                "capacity": room,
            },
        )

    def warning(self, about: Document, reason: str, message: str, age: float = 20) -> Document:
        """An event of kind Warning about a document."""
        metadata = about["metadata"]
        return self.add(
            "v1",
            "Event",
            f"{metadata['name']}.{next(self._uids):x}",
            metadata.get("namespace", "default"),
            age,
            type="Warning",
            reason=reason,
            message=message,
            involvedObject={
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata["uid"],
            },
            lastTimestamp=ago(age),
            firstTimestamp=ago(age),
            count=3,
            source={"component": "test"},
        )

    def quota(self, hard: Mapping[str, str], used: Mapping[str, str], name: str = "runners") -> Document:
        """A ResourceQuota of the runners' namespace."""
        return self.add(
            "v1",
            "ResourceQuota",
            name,
            RUNNERS,
            864000,
            spec={"hard": dict(hard)},
            status={"hard": dict(hard), "used": dict(used)},
        )
