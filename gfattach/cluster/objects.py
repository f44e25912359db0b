"""Services, EndpointSlices and Pods as facts, read from JSON of which nothing is known.

Field names are those of the Kubernetes API, core/v1 and discovery.k8s.io/v1. What is absent has the
API's own default; what has another shape than the API's is a ClusterError, `cluster.api.unreadable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gfattach.errors import ClusterError

Fact = TypeVar("Fact")

#: Characters of a message from the cluster that are kept: it is shown on one line.
MESSAGE_LIMIT = 400

#: Items of one list that are read: a Service with more endpoints than this has enough of them.
ITEM_LIMIT = 1000


def unreadable(what: str) -> ClusterError:
    """The error for an answer that has another shape than the API's."""
    return ClusterError(
        f"the API server's answer cannot be read: {what}",
        "see what answers there: kubectl version",
        code="cluster.api.unreadable",
    )


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """A message from the cluster as one printable line of at most `limit` characters."""
    # Cut before it is cleaned, so that a long message costs no more than a short one.
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def mapping(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object at `key`; absent and null are an empty one."""
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise unreadable(f"{key} is no object")
    return value


def items(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects of the list at `key`; absent and null are an empty one."""
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value[:ITEM_LIMIT]):
        raise unreadable(f"{key} is no list of objects")
    return value[:ITEM_LIMIT]


def text(holder: Mapping[str, Any], key: str) -> str:
    """The string at `key`; absent and null are an empty one."""
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unreadable(f"{key} is no string")
    return value


def texts(holder: Mapping[str, Any], key: str) -> dict[str, str]:
    """The mapping of strings to strings at `key`."""
    found = mapping(holder, key)
    return {str(name): text(found, name) for name in found}


def _name(holder: Mapping[str, Any], key: str) -> str:
    """A name; one of the API's own rules is returned as it is, and any other is harmless to a terminal."""
    return one_line(text(holder, key), 253)


def _flag(holder: Mapping[str, Any], key: str, default: bool) -> bool:
    value = holder.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise unreadable(f"{key} is neither true nor false")
    return value


def _port(holder: Mapping[str, Any], key: str) -> int | None:
    value = holder.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise unreadable(f"{key} is no port number")
    return value


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service. `name` is "" where the Service has one port; `target` is a number or a name."""

    name: str
    port: int
    target: int | str

    @property
    def shown(self) -> str:
        """`grpc (9092)`, or `9092`."""
        return f"{one_line(self.name)} ({self.port})" if self.name else str(self.port)


@dataclass(frozen=True)
class Service:
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


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a slice; `pod` is "" where it is none of a pod."""

    namespace: str
    pod: str
    ready: bool
    terminating: bool


@dataclass(frozen=True)
class EndpointSlice:
    """Endpoints that have their ports in common: the Service port's name, and the number in the pod."""

    ports: Mapping[str, int]
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run: `reason` and `message` of its state, and how it ended last."""

    reason: str
    message: str
    ended: str = ""


@dataclass(frozen=True)
class Pod:
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


def service(document: Mapping[str, Any]) -> Service:
    """A Service. Raises ClusterError."""
    metadata, spec = mapping(document, "metadata"), mapping(document, "spec")
    return Service(
        _name(metadata, "namespace"),
        _name(metadata, "name"),
        text(spec, "type") or "ClusterIP",
        text(spec, "clusterIP") == "None",
        texts(spec, "selector"),
        tuple(_service_port(port) for port in items(spec, "ports")),
        texts(metadata, "labels"),
        text(spec, "externalName"),
    )


def _service_port(document: Mapping[str, Any]) -> ServicePort:
    number = _port(document, "port")
    if number is None:
        raise unreadable("a Service's port has no number")
    target = document.get("targetPort")
    if isinstance(target, str):
        return ServicePort(text(document, "name"), number, target)
    return ServicePort(text(document, "name"), number, _port(document, "targetPort") or number)


def endpoint_slice(document: Mapping[str, Any]) -> EndpointSlice:
    """An EndpointSlice. A condition that is not known counts as the API says: ready, not terminating."""
    ports = ((text(port, "name"), _port(port, "port")) for port in items(document, "ports"))
    return EndpointSlice(
        {name: number for name, number in ports if number is not None},
        tuple(_endpoint(item, document) for item in items(document, "endpoints")),
    )


def _endpoint(document: Mapping[str, Any], holder: Mapping[str, Any]) -> Endpoint:
    conditions, target = mapping(document, "conditions"), mapping(document, "targetRef")
    is_pod = text(target, "kind") == "Pod"
    return Endpoint(
        _name(target, "namespace") or _name(mapping(holder, "metadata"), "namespace"),
        _name(target, "name") if is_pod else "",
        _flag(conditions, "ready", True),
        _flag(conditions, "terminating", False),
    )


def pod(document: Mapping[str, Any]) -> Pod:
    """A Pod. Raises ClusterError."""
    metadata, spec, status = (mapping(document, key) for key in ("metadata", "spec", "status"))
    conditions = {text(item, "type"): item for item in items(status, "conditions")}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    states = items(status, "initContainerStatuses") + items(status, "containerStatuses")
    return Pod(
        _name(metadata, "namespace"),
        _name(metadata, "name"),
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
    named = ((text(p, "name"), _port(p, "containerPort")) for c in containers for p in items(c, "ports"))
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
