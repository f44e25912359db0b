"""Pods as the scheduler, the kubelet and the runners' controller leave them: why one does not run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from sys import intern
from typing import Any, ClassVar

from msgspec import Struct

from gfattach.cluster.api.fields import items, mapping, name_of, one_line, text
from gfattach.cluster.api.metadata import NamespacedObject, metadata, moment
from gfattach.cluster.api.scheduling.needs import effective
from gfattach.cluster.api.scheduling.quantity import Amounts

#: Phases in which a pod takes nothing of its node any more.
ENDED = ("Succeeded", "Failed")

#: The same requests stand in most pods of a cluster: kept once.
_shared: dict[tuple[tuple[str, int], ...], Amounts] = {}


class Container(Struct, frozen=True):
    """The state of a container that does not run: `kind` is init or main; `reason` of its waiting or its end.

    `exit_code` is that of the end it is in, or of its last one; None where it has not ended.
    """

    name: str
    kind: str
    reason: str
    message: str
    exit_code: int | None
    restarts: int


class RunnerPod(NamespacedObject, frozen=True):
    """A pod. `runner` is the label `runner-pod`, of a job's pod in ARC's container mode `kubernetes`.

    `scheduled` is the PodScheduled condition: its reason and message where it is False, else None. `volumes`
    are the claims that it mounts, by name.
    """

    KIND: ClassVar[str] = "Pod"

    node: str
    phase: str
    reason: str
    message: str
    ready: bool
    unscheduled: tuple[str, str] | None
    unscheduled_since: datetime | None
    containers: tuple[Container, ...]
    restarts: int
    requests: Amounts
    runner: str
    claims: tuple[str, ...]

    @property
    def holds_node(self) -> bool:
        """Whether it counts against its node."""
        return bool(self.node) and self.phase not in ENDED


def pod(document: Mapping[str, Any]) -> RunnerPod:
    """A pod. Raises ClusterError."""
    spec, status = mapping(document, "spec"), mapping(document, "status")
    conditions = {text(each, "type"): each for each in items(status, "conditions")}
    scheduled = conditions.get("PodScheduled", {})
    waits = text(scheduled, "status") == "False"
    meta = metadata(document)
    found = [
        made
        for kind, key in (("init", "initContainerStatuses"), ("main", "containerStatuses"))
        for each in items(status, key)
        if (made := _container(each, kind)) is not None
    ]
    return RunnerPod(
        meta,
        intern(name_of(spec, "nodeName")),
        intern(text(status, "phase")),
        one_line(text(status, "reason")),
        one_line(text(status, "message")),
        text(conditions.get("Ready", {}), "status") == "True",
        (one_line(text(scheduled, "reason")), one_line(text(scheduled, "message"), 2000)) if waits else None,
        moment(text(scheduled, "lastTransitionTime")) if waits else None,
        tuple(found),
        sum(
            _restarts(each)
            for key in ("initContainerStatuses", "containerStatuses")
            for each in items(status, key)
        ),
        _once(effective(spec, "requests")),
        name_of(mapping(mapping(document, "metadata"), "labels"), "runner-pod"),
        tuple(_claims(spec, meta.name)),
    )


def _once(requests: dict[str, int]) -> Amounts:
    return _shared.setdefault(tuple(sorted(requests.items())), requests)


def _restarts(status: Mapping[str, Any]) -> int:
    count = status.get("restartCount")
    return count if isinstance(count, int) else 0


def _container(status: Mapping[str, Any], kind: str) -> Container | None:
    state = mapping(status, "state")
    if state.get("running") is not None:
        return None
    waiting, ended = mapping(state, "waiting"), mapping(state, "terminated")
    last = mapping(mapping(status, "lastState"), "terminated")
    code = (ended or last).get("exitCode")
    if ended and code == 0:
        return None
    said = waiting or ended
    return Container(
        name_of(status, "name"),
        kind,
        one_line(text(said, "reason"), 120) or ("Error" if ended else "Waiting"),
        one_line(text(said, "message")),
        code if isinstance(code, int) else None,
        _restarts(status),
    )


def _claims(spec: Mapping[str, Any], pod_name: str) -> list[str]:
    made = []
    for volume in items(spec, "volumes"):
        if volume.get("persistentVolumeClaim"):
            made.append(name_of(mapping(volume, "persistentVolumeClaim"), "claimName"))
        elif volume.get("ephemeral"):
            made.append(f"{pod_name}-{name_of(volume, 'name')}")
    return made
