"""The objects that the bed puts into its cluster, as plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

NAMESPACE = "nix-cache"
SERVICE = "bazel-cache"
POD = "bazel-cache-0"
PORTS = {"grpc": 9092, "http": 8080}
LABELS = {
    "app.kubernetes.io/name": SERVICE,
    "app.kubernetes.io/component": "build-cache",
    "app.kubernetes.io/part-of": "build-infrastructure",
}

KWOK_NODE = "kwok"
RUNTIME_NODE = "runtime"

# Annotations that bed/kwok.yaml reads: where a node's kubelet listens, and to leave a pod alone.
KUBELET_PORT = "gfattach.test/kubelet-port"
HOLD = "gfattach.test/hold"
# Metadata that keeps a deleted pod, terminating, until the finalizer is removed.
LINGERING = {"annotations": {HOLD: "true"}, "finalizers": ["gfattach.test/linger"]}

_UNREADY_ADDRESS = "10.1.0.1"  # outside of what KWOK gives out

# What a developer needs to attach, and nothing else.
DEVELOPER_RULES: list[Manifest] = [
    {"apiGroups": [""], "resources": ["services", "pods", "configmaps"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["get", "list", "watch"],
    },
]


def namespace(name: str) -> Manifest:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def node(name: str, kubelet_port: int) -> Manifest:
    """A Node whose kubelet listens on 127.0.0.1; KWOK makes it ready."""
    annotations = {KUBELET_PORT: str(kubelet_port)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": annotations}}


def service(name: str, ns: str, labels: Mapping[str, str], ports: Mapping[str, int]) -> Manifest:
    """A ClusterIP Service whose target ports are the container ports of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": ns, "labels": dict(labels)},
        "spec": {
            "type": "ClusterIP",
            "selector": {"app.kubernetes.io/name": labels["app.kubernetes.io/name"]},
            "ports": [{"name": n, "port": p, "targetPort": n} for n, p in ports.items()],
        },
    }


def pod(
    name: str, ns: str, labels: Mapping[str, str], ports: Mapping[str, int], node_name: str, *, held: bool
) -> Manifest:
    """A pod that is bound to its node from the start; `held` keeps KWOK from running it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": ns,
            "labels": dict(labels),
            "annotations": {HOLD: "true"} if held else {},
        },
        "spec": {
            "nodeName": node_name,
            # Without a controller manager no namespace has a default service account.
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "cache",
                    "image": "bazel-remote",
                    "ports": [{"name": n, "containerPort": p} for n, p in ports.items()],
                }
            ],
        },
    }


def unready_status(reason: str, message: str) -> Manifest:
    """The status of a pod whose container waits for `reason`."""
    unready = {"status": "False", "reason": "ContainersNotReady", "message": message}
    return {
        "status": {
            "phase": "Running",  # a sandbox with an address, a container that is not up
            "podIP": _UNREADY_ADDRESS,
            "podIPs": [{"ip": _UNREADY_ADDRESS}],
            "conditions": [{"type": "Ready", **unready}, {"type": "ContainersReady", **unready}],
            "containerStatuses": [
                {
                    "name": "cache",
                    "image": "bazel-remote",
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"waiting": {"reason": reason, "message": message}},
                }
            ],
        }
    }


def has_condition(manifest: Manifest, kind: str) -> bool:
    """Whether the object's status says "True" for the condition."""
    conditions = manifest.get("status", {}).get("conditions") or []  # it may be null
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def is_ready(pod: Manifest) -> bool:
    """Whether the pod is ready and stays."""
    return has_condition(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


def is_first(pod: Manifest) -> bool:
    """Whether it is the pod that a bed starts with, ready and on its node."""
    metadata = pod["metadata"]
    placed = metadata["name"] == POD and pod["spec"]["nodeName"] == KWOK_NODE
    return placed and metadata.get("labels") == LABELS and is_ready(pod)


def endpoint_slice(service: Manifest, pods: Iterable[Manifest]) -> Manifest:
    """What the endpoint slice controller would write: one endpoint for each pod that has an address."""
    name, ns = service["metadata"]["name"], service["metadata"]["namespace"]
    placed = [p for p in pods if p.get("status", {}).get("podIP")]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-bed",
            "namespace": ns,
            "labels": {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "bed"},
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(p) for p in placed],
        "ports": [
            {"name": p.get("name", ""), "port": _target_port(p["targetPort"], placed), "protocol": "TCP"}
            for p in service["spec"]["ports"]
        ] if placed else [],
    }  # fmt: skip


def _endpoint(pod: Manifest) -> Manifest:
    metadata, status = pod["metadata"], pod["status"]
    serving, terminating = has_condition(pod, "Ready"), "deletionTimestamp" in metadata
    return {
        "addresses": [status["podIP"]],
        "conditions": {"ready": is_ready(pod), "serving": serving, "terminating": terminating},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {
            "kind": "Pod",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }


def _target_port(target: int | str, pods: Sequence[Manifest]) -> int:
    if isinstance(target, int):
        return target
    ports = (p for pod in pods for c in pod["spec"]["containers"] for p in c.get("ports", []))
    return int(next(p["containerPort"] for p in ports if p.get("name") == target))


def role_and_binding(user: str, rules: Sequence[Manifest], ns: str | None) -> list[Manifest]:
    """What lets `user` do `rules` in the namespace, or in the whole cluster when it is None."""
    kind = "Role" if ns else "ClusterRole"
    metadata = {"name": f"user-{user}", **({"namespace": ns} if ns else {})}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": kind, "name": f"user-{user}"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    ]


def kwok_definition(kind: str, *, namespaced: bool) -> Manifest:
    """A custom resource definition that lets KWOK watch `kind`; KWOK itself checks the fields."""
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kwok.x-k8s.io"},
        "spec": {
            "group": "kwok.x-k8s.io",
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                }
            ],
        },
    }


def kubeconfig(server: str, user: str, ca: str, certificate: str, key: str) -> str:
    """A kubeconfig with one context; the last three are PEM, base64-encoded."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bed",
        "clusters": [{"name": "bed", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": user, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user, "namespace": NAMESPACE}}],
    }
    return json.dumps(document, indent=2) + "\n"  # JSON is YAML
