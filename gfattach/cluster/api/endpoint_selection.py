"""Which pods answer for a port of a Service, and why none does. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from gfattach.cluster.api.fields import one_line
from gfattach.cluster.api.objects import EndpointSlice, Pod, Service, ServicePort, living
from gfattach.cluster.api.pod_state import worst
from gfattach.core.errors import ClusterError


class Route(Protocol):
    """A port of a Service: the port is the Service port's name or number."""

    @property
    def namespace(self) -> str:
        """Where the Service is."""

    @property
    def service(self) -> str:
        """Its name."""

    @property
    def port(self) -> str:
        """Its port's name or number."""


class ReadyPod(Struct, frozen=True):
    """A pod that accepts connections; `port` is the number in the pod."""

    namespace: str
    name: str
    port: int


class Choice(Struct, frozen=True):
    """The pods behind a Service's port: the ready ones, and how many there are in all."""

    ready: tuple[ReadyPod, ...]
    total: int


def shown(route: Route) -> str:
    """`nix-cache/bazel-cache:grpc`."""
    return f"{route.namespace}/{route.service}:{route.port}"


def select_port(service: Service, wanted: str) -> ServicePort:
    """The port of `service` that `wanted` names. Raises ClusterError, also for a Service without pods.

    A forward goes to a pod: what selects none cannot be forwarded.
    """
    name = f"Service {service.name} in namespace {service.namespace}"
    named = f"-n {shlex.quote(service.namespace)} get service {shlex.quote(service.name)}"
    look = f"see it: kubectl {named} -o yaml"
    if service.kind == "ExternalName":
        raise ClusterError(
            f"{name} is an alias of {one_line(service.external_name)} (ExternalName): it has no pods",
            "dial that name directly, or name another Service",
            look,
            code="cluster.service.external",
        )
    if not service.selector:
        raise ClusterError(
            f"{name} has no selector: no pods are known to be behind it",
            "name a Service that selects pods, or dial its endpoints directly",
            look,
            code="cluster.service.selectorless",
        )
    port = service.port(wanted)
    if port is None:
        has = ", ".join(found.shown for found in service.ports) or "none"
        raise ClusterError(
            f"{name} has no port {wanted!r}: it has {has}",
            "correct the port in what the site says: gfattach site show",
            code="cluster.service.port",
        )
    return port


def from_slices(port: ServicePort, slices: Sequence[EndpointSlice]) -> Choice:
    """The pods that the EndpointSlices of a Service name for `port`.

    A slice names the Service port by its name and has the number in the pod, so that a named target
    port may differ from pod to pod; a pod with two addresses is in two slices.
    """
    ready: dict[tuple[str, str], ReadyPod] = {}
    known: set[tuple[str, str]] = set()
    for found in slices:
        number = found.ports.get(port.name)
        for endpoint in found.endpoints:
            if not endpoint.pod:
                continue
            key = (endpoint.namespace, endpoint.pod)
            known.add(key)
            if number is not None and endpoint.ready and not endpoint.terminating:
                ready.setdefault(key, ReadyPod(*key, number))
    return Choice(tuple(ready.values()), len(known))


def from_pods(port: ServicePort, pods: Sequence[Pod]) -> Choice:
    """The pods of the Service's own selector that are ready and have `port`."""
    ready, alive = [], living(pods)
    for pod in alive:
        number = port.target if isinstance(port.target, int) else pod.ports.get(port.target)
        if number is not None and pod.ready and not pod.terminating:
            ready.append(ReadyPod(pod.namespace, pod.name, number))
    return Choice(tuple(ready), len(alive))


def label_selector(selector: Mapping[str, str]) -> str:
    """The selector as the API's query has it, not yet quoted."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def none_ready(service: Service, port: ServicePort, pods: Sequence[Pod] | None, total: int) -> ClusterError:
    """The error that no pod is ready, with the worst reason; `pods` is None where they may not be read."""
    selector = one_line(label_selector(service.selector))
    kubectl = f"kubectl -n {shlex.quote(service.namespace)}"
    look = f"see them: {kubectl} get pods -l {shlex.quote(selector)}"
    name = f"{service.namespace}/{service.name}"
    if pods is None:
        fact = f"0 of {total} pods ready behind {name}; why is not known: pods may not be read"
    elif pods and not (alive := living(pods)):
        bad = worst(pods)
        last = f": {bad[0].name}: {bad[1]}" if bad is not None else ""
        fact = f"0 of 0 pods ready behind {name}; {len(pods)} with its labels are over{last}"
        look = f"see why there is no other: {kubectl} get deployments,statefulsets"
    elif not pods:
        fact = f"0 of 0 pods ready behind {name}: no pod has the labels {selector}"
        look = f"see whether it is scaled to zero: {kubectl} get deployments,statefulsets"
    else:
        fact = f"0 of {len(alive)} pods ready behind {name}"
        bad = worst(pods)
        if bad is not None:
            fact += f": {bad[0].name}: {bad[1]}" if len(alive) > 1 else f": {bad[1]}"
            look = f"see more: {kubectl} describe pod {shlex.quote(bad[0].name)}"
        elif isinstance(port.target, str) and not any(port.target in pod.ports for pod in alive):
            fact += f": none has a port named {one_line(port.target)}"
        else:
            fact += ": its endpoints are not up to date yet"
    return ClusterError(fact, look, code="cluster.service.pods.none")
