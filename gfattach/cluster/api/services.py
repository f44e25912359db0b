"""From a port of a Service to the pods behind it, by asking the API server."""

from __future__ import annotations

from msgspec import Struct

from gfattach.cluster.api import objects
from gfattach.cluster.api.client import Api, ApiError, path_of
from gfattach.cluster.api.endpoint_selection import (
    Choice,
    ReadyPod,
    Route,
    from_pods,
    from_slices,
    label_selector,
    none_ready,
    select_port,
)
from gfattach.cluster.api.fields import ITEM_LIMIT
from gfattach.cluster.api.objects import EndpointSlice, Pod, Service, ServicePort
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.quote import word

__all__ = ["ReadyPod", "Route", "Survey", "find_service", "list_services", "ready_pods", "survey"]


class Survey(Struct, frozen=True):
    """What is behind a Service's port.

    `pods` is every pod of the Service's selector, None where they were not or may not be read;
    `by_pods` says that the EndpointSlices may not be read, and the pods were taken instead.
    """

    service: Service
    port: ServicePort
    choice: Choice
    pods: tuple[Pod, ...] | None
    by_pods: bool = False


async def ready_pods(api: Api, route: Route, deadline: Deadline) -> list[ReadyPod]:
    """The pods that take connections for `route`, at least one. Raises ClusterError, with why there is none.

    Two questions at once where all is well; one more where no pod is ready, to say why.
    """
    found = await survey(api, route, deadline)
    if found.choice.ready:
        return list(found.choice.ready)
    pods = found.pods
    if pods is None:
        pods = await _pods(api, found.service, deadline)
    raise none_ready(found.service, found.port, pods, found.choice.total)


async def survey(api: Api, route: Route, deadline: Deadline, *, with_pods: bool = False) -> Survey:
    """What is behind `route`; `with_pods` reads all pods too, where they may be read. Raises ClusterError."""
    import asyncio

    service, slices = await asyncio.gather(
        find_service(api, route.namespace, route.service, deadline),
        _slices(api, route, deadline),
        return_exceptions=True,
    )
    # Of two failures the Service's says more: without it there are no slices.
    if isinstance(service, BaseException):
        raise service
    port = select_port(service, route.port)
    if isinstance(slices, ApiError) and slices.status == 403:
        pods = await _pods(api, service, deadline)
        if pods is None:
            raise slices
        return Survey(service, port, from_pods(port, pods), pods, by_pods=True)
    if isinstance(slices, BaseException):
        raise slices
    choice = from_slices(port, slices)
    pods = await _pods(api, service, deadline) if with_pods else None
    return Survey(service, port, choice, pods)


async def find_service(api: Api, namespace: str, name: str, deadline: Deadline) -> Service:
    """The Service of that name. Raises ClusterError, `cluster.service.missing` where there is none."""
    try:
        return objects.service(await api.get(path_of(namespace, "services", name), deadline))
    except ApiError as error:
        if error.status != 404:
            raise
        raise ClusterError(
            f"there is no Service {name} in namespace {namespace}",
            f"see which there are: kubectl -n {word(namespace)} get services",
            "correct what the site says: gfattach site show",
            code="cluster.service.missing",
        ) from None


async def list_services(api: Api, namespace: str, deadline: Deadline) -> tuple[Service, ...]:
    """Every Service of the namespace. Raises ClusterError."""
    return objects.listed(await api.get(path_of(namespace, "services"), deadline), objects.service)


async def _slices(api: Api, route: Route, deadline: Deadline) -> tuple[EndpointSlice, ...]:
    path = path_of(
        route.namespace,
        "endpointslices",
        group="apis/discovery.k8s.io/v1",
        labelSelector=f"kubernetes.io/service-name={route.service}",
    )
    return objects.listed(await api.get(path, deadline), objects.endpoint_slice)


async def _pods(api: Api, service: Service, deadline: Deadline) -> tuple[Pod, ...] | None:
    """The pods of the Service's selector; None where they may not be read."""
    selector = label_selector(service.selector)
    path = path_of(service.namespace, "pods", labelSelector=selector, limit=str(ITEM_LIMIT))
    try:
        return objects.listed(await api.get(path, deadline), objects.pod)
    except ApiError as error:
        if error.status != 403:
            raise
        return None
