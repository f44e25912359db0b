"""Services, EndpointSlices and Pods as facts, read from JSON of which nothing is known.

Field names are those of the Kubernetes API, core/v1 and discovery.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from gfattach.cluster.api.fields import (
    flag,
    items,
    mapping,
    name_of,
    one_line,
    port_number,
    text,
    texts,
    unreadable,
)

Fact = TypeVar("Fact")


class ServicePort(Struct, frozen=True):
    """A port of a Service. `name` is "" where the Service has one port; `target` is a number or a name;
    `app_protocol` is what the Service says is spoken there, as "grpc" or "kubernetes.io/h2c"."""

    name: str
    port: int
    target: int | str
    app_protocol: str = ""

    @property
    def shown(self) -> str:
        """`grpc (9092)`, or `9092`."""
        return f"{one_line(self.name)} ({self.port})" if self.name else str(self.port)


class Service(Struct, frozen=True):
    """A Service. `kind` is spec.type; `headless` says that it has no address of its own."""

    namespace: str
    name: str
    kind: str
    headless: bool
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    labels: Mapping[str, str]
    external_name: str = ""

    def port(self, wanted: str) -> ServicePort | None:
        """The port of that name or number; a name goes before a number."""
        by_name = [port for port in self.ports if port.name == wanted]
        by_number = [port for port in self.ports if str(port.port) == wanted]
        return next(iter((*by_name, *by_number)), None)


class Endpoint(Struct, frozen=True):
    """One endpoint of a slice; `pod` is "" where it is none of a pod."""

    namespace: str
    pod: str
    ready: bool
    terminating: bool


class EndpointSlice(Struct, frozen=True):
    """Endpoints that have their ports in common: the Service port's name, and the number in the pod."""

    ports: Mapping[str, int]
    endpoints: tuple[Endpoint, ...]


class Waiting(Struct, frozen=True):
    """Why a container does not run: `reason` and `message` of its state, and how it ended last."""

    reason: str
    message: str
    ended: str = ""


class Pod(Struct, frozen=True):
    """A pod. `waiting` are the containers that do not run, `unscheduled` is the scheduler's message.

    `ports` are the named ports of its containers; `unready` is what the Ready condition says.
    """

    namespace: str
    name: str
    phase: str
    ready: bool
    terminating: bool
    ports: Mapping[str, int]
    waiting: tuple[Waiting, ...]
    unscheduled: str
    unready: str
    reason: str
    message: str

    @property
    def over(self) -> bool:
        """Whether it has ended for good, as one that was evicted: its Deployment has another in its place."""
        return self.phase in ("Failed", "Succeeded")


def living(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """Those that are not over: the others are no candidates, as for kubectl and for EndpointSlices."""
    return tuple(pod for pod in pods if not pod.over)


def service(document: Mapping[str, Any]) -> Service:
    """A Service. Raises ClusterError."""
    metadata, spec = mapping(document, "metadata"), mapping(document, "spec")
    return Service(
        name_of(metadata, "namespace"),
        name_of(metadata, "name"),
        text(spec, "type") or "ClusterIP",
        text(spec, "clusterIP") == "None",
        texts(spec, "selector"),
        tuple(_service_port(port) for port in items(spec, "ports")),
        texts(metadata, "labels"),
        text(spec, "externalName"),
    )


def _service_port(document: Mapping[str, Any]) -> ServicePort:
    number = port_number(document, "port")
    if number is None:
        raise unreadable("a Service's port has no number")
    target = document.get("targetPort")
    if not isinstance(target, str):
        target = port_number(document, "targetPort") or number
    return ServicePort(text(document, "name"), number, target, text(document, "appProtocol"))


def endpoint_slice(document: Mapping[str, Any]) -> EndpointSlice:
    """An EndpointSlice. A condition that is not known counts as the API says: ready, not terminating."""
    ports = ((text(port, "name"), port_number(port, "port")) for port in items(document, "ports"))
    return EndpointSlice(
        {name: number for name, number in ports if number is not None},
        tuple(_endpoint(item, document) for item in items(document, "endpoints")),
    )


def _endpoint(document: Mapping[str, Any], holder: Mapping[str, Any]) -> Endpoint:
    conditions, target = mapping(document, "conditions"), mapping(document, "targetRef")
    is_pod = text(target, "kind") == "Pod"
    return Endpoint(
        name_of(target, "namespace") or name_of(mapping(holder, "metadata"), "namespace"),
        name_of(target, "name") if is_pod else "",
        flag(conditions, "ready", True),
        flag(conditions, "terminating", False),
    )


def pod(document: Mapping[str, Any]) -> Pod:
    """A Pod. Raises ClusterError."""
    metadata, spec, status = (mapping(document, key) for key in ("metadata", "spec", "status"))
    conditions = {text(item, "type"): item for item in items(status, "conditions")}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    states = items(status, "initContainerStatuses") + items(status, "containerStatuses")
    return Pod(
        name_of(metadata, "namespace"),
        name_of(metadata, "name"),
        text(status, "phase"),
        text(ready, "status") == "True",
        bool(text(metadata, "deletionTimestamp")),
        _container_ports(spec),
        tuple(found for state in states if (found := _waiting(state)) is not None),
        text(scheduled, "message") if text(scheduled, "status") == "False" else "",
        text(ready, "message"),
        text(status, "reason"),
        text(status, "message"),
    )


def _container_ports(spec: Mapping[str, Any]) -> dict[str, int]:
    # An init container that goes on running is a sidecar, and may have the port.
    containers = items(spec, "containers") + items(spec, "initContainers")
    named = (
        (text(p, "name"), port_number(p, "containerPort")) for c in containers for p in items(c, "ports")
    )
    return {name: number for name, number in reversed(list(named)) if name and number is not None}


def _waiting(status: Mapping[str, Any]) -> Waiting | None:
    state = mapping(status, "state")
    last = mapping(mapping(status, "lastState"), "terminated")
    if state.get("waiting") is not None:
        found = mapping(state, "waiting")
        return Waiting(text(found, "reason") or "waiting", text(found, "message"), _ended(last))
    ended = mapping(state, "terminated")
    if ended and ended.get("exitCode") != 0:
        return Waiting(text(ended, "reason") or "terminated", text(ended, "message"), _ended(ended))
    return None


def _ended(terminated: Mapping[str, Any]) -> str:
    if not terminated:
        return ""
    code = terminated.get("exitCode")
    reason = text(terminated, "reason")
    return f"{reason or 'Error'}, exit code {code}" if isinstance(code, int) else reason


def listed(document: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Fact]) -> tuple[Fact, ...]:
    """Every item of a list, by `read`. Raises ClusterError."""
    return tuple(read(item) for item in items(document, "items"))
