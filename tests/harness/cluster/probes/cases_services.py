"""Causes behind the API server: missing rights, Services, pods, and what listens in them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from gfattach.agent.model.spec import PodUpstream
from tests.harness.cluster.manifests import NAMESPACE, POD, RUNTIME_NODE, SERVICE
from tests.harness.cluster.probes.cases_files import BROKEN, Case, unreviewed
from tests.harness.cluster.probes.kubeconfigs import GRPC
from tests.harness.cluster.probes.rules import PORTFORWARD, READS, SLICES, verbs
from tests.harness.cluster.wire.middlebox import only, page
from tests.harness.machine import faulty_servers as faults

#: What a forward needs besides the Service.
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def only_named(service):
    """The right to one Service."""
    return {"apiGroups": [""], "resources": ["services"], "verbs": ["get"], "resourceNames": [service]}


RIGHTS_CASES = [
    Case("a developer", lambda b: b.config(), "cluster.rights.ok"),
    Case(
        "no get",
        lambda b: b.limited("no-get", READS, SLICES, verbs(PORTFORWARD, "create")),
        "cluster.rights.missing",
        "no-get may not get pods/portforward in namespace nix-cache",
    ),
    Case(
        "no create",
        lambda b: b.limited("no-create", READS, SLICES, verbs(PORTFORWARD, "get")),
        "cluster.rights.missing",
        "no-create may not create pods/portforward in namespace nix-cache",
    ),
    Case(
        "another namespace",
        lambda b: b.config(services=(PodUpstream("kube-system", "x", "grpc"),)),
        "cluster.rights.missing",
        "get services x in namespace kube-system",
    ),
    Case(
        "a Service by its name alone",
        lambda b: b.limited("one-service", only_named(SERVICE), PODS, SLICES, PORTFORWARD),
        "cluster.rights.ok",
    ),
    Case(
        "pods by their names alone",
        lambda b: b.limited("one-pod", READS, SLICES, {**PORTFORWARD, "resourceNames": [POD]}),
        "cluster.rights.tried",
        "it was tried, and was not refused",
    ),
    Case(
        "get without list",
        lambda b: b.limited(
            "no-list", verbs(READS, "get", resources=["services"]), PODS, SLICES, PORTFORWARD
        ),
        "cluster.rights.ok",
    ),
    Case(
        "another Service by its name alone",
        lambda b: b.limited("other-service", only_named("other"), PODS, SLICES, PORTFORWARD),
        "cluster.rights.missing",
        f"may not get services {SERVICE}",
    ),
    Case(
        "another pod by its name alone",
        lambda b: b.limited("other-pod", READS, SLICES, {**PORTFORWARD, "resourceNames": ["other"]}),
        "cluster.rights.missing",
        "may not get pods/portforward",
    ),
    Case(
        "no pods",
        lambda b: b.limited(
            "no-pods", verbs(READS, "get", "list", resources=["services", "configmaps"]), SLICES, PORTFORWARD
        ),
        "cluster.rights.partial",
        "list pods",
    ),
    Case("an API server that will not say", lambda b: unreviewed(b, b.config()), "cluster.rights.unknown"),
    Case("nothing to forward", lambda b: b.config(services=()), "cluster.rights.nowhere"),
]


@contextlib.contextmanager
def pods(bench, *, keep: bool = True, over: int = 0, **unready):
    """Pods that wait for these reasons, beside the ready one or in its place, and some that were evicted."""
    if not keep:
        bench.cluster.delete_pod(POD)
    for name, reason in unready.items():
        bench.cluster.create_pod(name, unready=reason)
    for number in range(over):
        bench.cluster.create_pod(f"evicted-{number}", unready=("ContainerCreating", ""))
        status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/evicted-{number}/status"
        bench.cluster.admin.merge(path, {"status": status | {"containerStatuses": []}})
    yield bench.config()


@contextlib.contextmanager
def pending(bench):
    """A pod that the scheduler has no room for."""
    bench.cluster.delete_pod(POD)
    bench.cluster.create_pod("waiting", unready=("ContainerCreating", ""))
    message = "0/3 nodes are available: 3 Insufficient ephemeral-storage."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"phase": "Pending", "conditions": [condition], "containerStatuses": []}
    bench.cluster.admin.merge(f"/api/v1/namespaces/{NAMESPACE}/pods/waiting/status", {"status": status})
    yield bench.config()


@contextlib.contextmanager
def headless(bench):
    """A Service without an address, and nothing beside it."""
    with bench.extra_service("headless", clusterIP="None") as subject:
        bench.cluster.sync_endpoints()
        yield subject


@contextlib.contextmanager
def deleted_service(bench):
    bench.cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}")
    yield bench.config()


CRASHING = ("CrashLoopBackOff", "back-off 5m0s restarting failed container")

SERVICE_CASES = [
    Case("a ready pod", lambda b: b.config(), "cluster.service.ok", "1 of 1 pods ready"),
    Case(
        "a pod that crashes beside it",
        lambda b: pods(b, second=CRASHING),
        "cluster.service.partly",
        "1 of 2 pods",
    ),
    Case(
        "slices that may not be read",
        lambda b: b.limited("no-slices", READS, PORTFORWARD),
        "cluster.service.by-pods",
    ),
    Case("a deleted Service", deleted_service, "cluster.service.missing", "there is no Service bazel-cache"),
    Case(
        "a wrong port",
        lambda b: b.config(services=(PodUpstream(NAMESPACE, SERVICE, "grcp"),)),
        "cluster.service.port",
        "has no port 'grcp': it has grpc (9092), http (8080)",
    ),
    Case(
        "an alias",
        lambda b: b.extra_service(
            "alias", type="ExternalName", externalName="cache.example", ports=[], selector={}
        ),
        "cluster.service.external",
        "an alias of cache.example",
    ),
    Case(
        "a headless Service",
        headless,
        "cluster.service.ok",
    ),
    Case(
        "one that crashes beside one that was evicted",
        lambda b: pods(b, keep=False, over=1, now=CRASHING),
        "cluster.service.pods.none",
        "0 of 1 pods ready behind nix-cache/bazel-cache: CrashLoopBackOff",
    ),
    Case("all well, and some left over", lambda b: pods(b, keep=True, over=3), "cluster.service.ok"),
    Case(
        "a Service without selector",
        lambda b: b.extra_service("bare", selector={}),
        "cluster.service.selectorless",
    ),
    Case(
        "pods that crash",
        lambda b: pods(b, keep=False, first=CRASHING, second=("ContainerCreating", "")),
        "cluster.service.pods.none",
        "0 of 2 pods ready behind nix-cache/bazel-cache: first: CrashLoopBackOff: back-off 5m0s",
    ),
    Case(
        "an image that cannot be pulled",
        lambda b: pods(b, keep=False, first=("ImagePullBackOff", "Back-off pulling image")),
        "cluster.service.pods.none",
        "0 of 1 pods ready behind nix-cache/bazel-cache: ImagePullBackOff: Back-off pulling image",
    ),
    Case(
        "no room for a pod",
        pending,
        "cluster.service.pods.none",
        "Pending: 0/3 nodes are available: 3 Insuff",
    ),
    Case(
        "scaled to zero", lambda b: pods(b, keep=False), "cluster.service.pods.none", "no pod has the labels"
    ),
    Case(
        "an API server in trouble",
        lambda b: b.between(only(b"/services/", BROKEN)),
        "cluster.service.failed",
        "etcd is away",
    ),
]


@contextlib.contextmanager
def no_listener(bench):
    with faults.refusing() as port:
        bench.cluster.forward_target(9092, "127.0.0.1", port)
        yield bench.config(services=(GRPC,))


@contextlib.contextmanager
def kubelet_down(bench):
    bench.cluster.kill_kwok()
    yield bench.config()


@contextlib.contextmanager
def stale_slice(bench):
    """An EndpointSlice that still names a pod that is gone."""
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{SERVICE}-bed"
    [endpoint] = bench.cluster.admin.get(slices)["endpoints"]
    gone = endpoint | {"targetRef": endpoint["targetRef"] | {"name": "gone"}}
    bench.cluster.admin.merge(slices, {"endpoints": [gone]})
    yield bench.config()


@contextlib.contextmanager
def secretly_limited(bench):
    """A missing verb, where nobody may ask what they may do."""
    subject = bench.limited("secretly", READS, SLICES, verbs(PORTFORWARD, "get"))
    with bench.without_reviews():
        yield subject


STRIPPED = page(200, b"<html>portal</html>", "text/html")
UNAUTHORIZED = page(401, json.dumps({"kind": "Status", "message": "Unauthorized"}).encode())

#: What kubelets answer, which the API server hands on as it is.
KUBELET_401 = page(401, b"Unauthorized\n", "text/plain")
KUBELET_403 = page(403, b"Forbidden (user=kube-apiserver, verb=create, resource=nodes, subresource=proxy)")
VIRTUAL_KUBELET = page(404, b"404 page not found\n", "text/plain")

UPGRADE_CASES = [
    Case(
        "a kubelet that does not know the API server",
        lambda b: b.between(only(b"/portforward", KUBELET_401)),
        "cluster.upgrade.kubelet",
        "refuses the API server (HTTP 401: Unauthorized)",
    ),
    Case(
        "a kubelet that does not let the API server",
        lambda b: b.between(only(b"/portforward", KUBELET_403)),
        "cluster.upgrade.kubelet",
        "refuses the API server (HTTP 403: Forbidden",
    ),
    Case(
        "a virtual kubelet",
        lambda b: b.between(only(b"/portforward", VIRTUAL_KUBELET)),
        "cluster.upgrade.kubelet",
        "forwards no ports (HTTP 404",
    ),
    Case("a listener", lambda b: b.config(), "cluster.upgrade.ok"),
    Case("no listener in the pod", no_listener, "cluster.upgrade.refused", "nothing listens on port 9092"),
    Case(
        "a proxy that strips the upgrade",
        lambda b: b.between(only(b"/portforward", STRIPPED)),
        "cluster.upgrade.upgrade",
        "strips the websocket upgrade (HTTP 200",
    ),
    Case(
        "a credential that ends",
        lambda b: b.between(only(b"/portforward", UNAUTHORIZED)),
        "cluster.upgrade.unauthorized",
    ),
    Case("a missing verb that nobody named", secretly_limited, "cluster.upgrade.forbidden", "may not create"),
    Case("a pod that is gone", stale_slice, "cluster.upgrade.gone"),
    Case("a kubelet that is down", kubelet_down, "cluster.upgrade.kubelet", "cannot reach the node"),
    Case(
        "a proxy that hangs up", lambda b: b.between(only(b"/portforward", b"")), "cluster.upgrade.unanswered"
    ),
    Case("a proxy that cuts", lambda b: cutting(b), "cluster.upgrade.lost"),
]


def cutting(bench):
    """A proxy that lets the websocket open and then closes."""

    def answer(head):
        if b"/portforward" not in head:
            return None
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n") if b": " in line)
        assert b"websocket" in fields[b"upgrade"]
        key = next(
            line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")
        )
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    return bench.between(answer)


CACHE_CASES = [
    Case(
        "a cache",
        lambda b: b.config(),
        "cluster.cache.ok",
        "nix-cache/bazel-cache:grpc answers in HTTP/2, nix-cache/bazel-cache:http answers in HTTP/1.1",
    ),
    Case("an ssh server", lambda b: b.leading_to(faults.saying(b"SSH-2.0-x\r\n")), "cluster.cache.unknown"),
    Case("a silent port", lambda b: b.leading_to(faults.silent), "cluster.cache.silent", "sends no response"),
    Case("a port that hangs up", lambda b: closing(b), "cluster.cache.closed"),  # type: ignore[has-type]
]


@contextlib.contextmanager
def closing(bench: Any) -> Iterator[Any]:
    """A pod on the node whose connections end as in a container runtime."""
    bench.cluster.delete_pod(POD)
    bench.cluster.create_pod("here", node=RUNTIME_NODE)
    with bench.leading_to(lambda connection: connection.recv(65536)) as subject:
        yield subject
