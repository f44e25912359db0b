"""A real Kubernetes cluster of a few programs on this machine, with a real cache behind a Service."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.harness.cluster import components, manifests
from tests.harness.cluster.api import Api, suppress_missing
from tests.harness.cluster.build import Programs, locate
from tests.harness.cluster.certs import LIFETIME
from tests.harness.cluster.daemon import Daemon, Guard
from tests.harness.cluster.manifests import (
    KWOK_NODE,
    LABELS,
    NAMESPACE,
    POD,
    PORTS,
    RUNTIME_NODE,
    SERVICE,
    Manifest,
)
from tests.harness.cluster.targets import Targets
from tests.harness.cluster.users import Users
from tests.harness.machine.ports import free_port


class Cluster:
    """The bed, as a context manager. Methods wait for their effect, and raise BedError when it fails.

    `kubeconfig` is a developer's (namespace nix-cache, DEVELOPER_RULES), `admin_kubeconfig` may all;
    `developer` and `admin` are the API as these; `cache` is bazel-remote; `server` and `ca` are the
    API server's address and CA file.
    """

    kubeconfig: Path
    developer: Api

    def __init__(
        self,
        directory: Path | None = None,
        programs: Programs | None = None,
        apiserver_options: Sequence[str | Path] = (),
    ) -> None:
        found = programs or locate()
        self.directory = directory or Path(tempfile.mkdtemp(prefix="gfattach-bed-"))
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        home, guard = self.directory, Guard(self.directory)
        self._guard = guard
        self._control = components.ControlPlane(found, home, guard, apiserver_options)
        authority = self._control.authority
        self.server, self.ca = self._control.server, authority.certificate
        self._users = Users(home, authority, self.server)
        self.admin_kubeconfig = self._users.credential("admin", ("system:masters",))
        self.admin = self._users.api("admin")
        self.cache = components.BazelRemote(found, home, guard)
        self._runtime = components.RuntimeNode(found, home, guard, authority)
        self._kwok_port = free_port()
        self._kwok = components.kwok(found, home, guard, authority, self.admin_kubeconfig, self._kwok_port)
        self._targets = Targets(self.admin, self._runtime, self._kwok, self._kwok_port)

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def daemons(self) -> list[Daemon]:
        """All programs, in the order in which they start."""
        return [self._control.etcd, self.cache, self._runtime, self._control.apiserver, self._kwok]

    def start(self) -> None:
        """Bring everything up: on return a connection to the pod reaches the cache."""
        for daemon in (self._control.etcd, self.cache, self._runtime):
            daemon.start(wait=False)
        self._control.etcd.wait()
        self._control.apiserver.start()
        for kind, namespaced in (("ClusterPortForward", False), ("PortForward", True)):
            definition = self.apply(manifests.kwok_definition(kind, namespaced=namespaced))
            self._wait_condition(self._control.apiserver, definition, "Established")
        self._kwok.start(wait=False)
        for name, port in ((KWOK_NODE, self._kwok_port), (RUNTIME_NODE, self._runtime.port)):
            self.apply(manifests.node(name, port))
        self.apply(manifests.namespace(NAMESPACE))
        self.kubeconfig = self.user("developer", manifests.DEVELOPER_RULES)
        self.developer = self.api("developer")
        self.reset()

    def stop(self) -> None:
        """End every program and remove every file."""
        self._users.close()
        for daemon in reversed(self.daemons):
            daemon.kill()
        self._guard.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def reset(self) -> None:
        """Back to the state after `start`: programs up, one ready pod, both ports lead to the cache.

        Users and other objects that were applied stay, and so does what the cache holds.
        """
        if self._control.apiserver.pid is None:
            self._control.etcd.start()
            self.start_apiserver()
        for daemon in self.daemons:
            daemon.start(wait=False)
        for daemon in self.daemons:
            daemon.wait()
        self.apply(manifests.service(SERVICE, NAMESPACE, LABELS, PORTS))
        for pod in self.pods():
            # Also one of that name which a test has put elsewhere: the next test counts on where it is.
            if not manifests.is_first(pod):
                self.delete_pod(pod["metadata"]["name"])
        if self.pods():
            self.sync_endpoints()
        else:
            self.create_pod(POD)
        # Last, because KWOK may be late to take it, and what a test has left is no other test's fault.
        to = {PORTS["grpc"]: self.cache.grpc_port, PORTS["http"]: self.cache.http_port}
        self._targets.reset({port: f"127.0.0.1:{number}" for port, number in to.items()})

    @property
    def apiserver_pid(self) -> int:
        """The API server's process."""
        assert self._control.apiserver.pid is not None
        return self._control.apiserver.pid

    def kill_apiserver(self) -> None:
        """Crash the API server; the cluster's state stays in etcd."""
        self._control.apiserver.kill()

    def start_apiserver(self) -> None:
        """Bring it back, on the same port."""
        self._control.apiserver.start()
        if self._kwok.pid is not None:
            # Its watches come back in their own time (57 s were seen after an outage of 30 s).
            # It forwards nothing at this moment: all connections went with the API server.
            self._kwok.kill()
            self.start_kwok()

    def kill_kwok(self) -> None:
        """Crash the kubelet of the node "kwok", and with it every connection to its pods."""
        self._kwok.kill()

    def start_kwok(self) -> None:
        """Bring it back, on the same port, with its rules."""
        self._kwok.start()
        self._targets.wait_for_kwok()

    def apply(self, manifest: Mapping[str, Any]) -> Manifest:
        """Create any object or make it so; returns what the API server made of it."""
        return self.admin.apply(manifest)

    def user(
        self,
        name: str,
        rules: Sequence[Manifest],
        namespace: str | None = NAMESPACE,
        lifetime: datetime.timedelta = LIFETIME,
    ) -> Path:
        """A kubeconfig, by client certificate, of a user who may do `rules` (RBAC PolicyRules) only.

        In `namespace`, or in the whole cluster when it is None. Called again for the same name it
        changes the rules and makes a new certificate. A negative `lifetime`: one that has expired.
        """
        path = self._users.credential(name, (), lifetime)
        self._users.grant(self.admin, name, rules, namespace)
        return path

    def wait_for_rights(
        self, user: str, rules: Sequence[Manifest] = (), *, without: Sequence[Manifest] = ()
    ) -> None:
        """Return when `user` may do `rules` in NAMESPACE, and nothing of `without` besides.

        For Roles that a test applies or deletes itself: the API server's authorizer learns of it later.
        """
        self._users.wait_for_rights(user, rules, NAMESPACE, without)

    def api(self, user: str) -> Api:
        """The API as a user that `user` made."""
        return self._users.api(user)

    def pods(self, namespace: str = NAMESPACE) -> list[Manifest]:
        """All pods of the namespace."""
        items: list[Manifest] = self.admin.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        return items

    def create_pod(
        self,
        name: str,
        *,
        namespace: str = NAMESPACE,
        labels: Mapping[str, str] = LABELS,
        ports: Mapping[str, int] = PORTS,
        node: str = KWOK_NODE,
        unready: tuple[str, str] | None = None,
    ) -> Manifest:
        """A pod, ready, or waiting for a (reason, message); in its Services' EndpointSlices on return.

        `node` says who serves its ports: KWOK_NODE or RUNTIME_NODE.
        """
        pod = manifests.pod(name, namespace, labels, ports, node, held=unready is not None)
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if self.admin.exists(path):  # a pod cannot be moved: one of that name is in the way, whatever left it
            self.delete_pod(name, namespace=namespace)
        created = self.apply(pod)
        if unready is not None:
            self.admin.merge(f"{path}/status", manifests.unready_status(*unready))
        else:
            self._wait_condition(self._kwok, created, "Ready")
        self.sync_endpoints(namespace)
        return self.admin.get(path)

    def delete_pod(self, name: str, *, namespace: str = NAMESPACE, linger: bool = False) -> None:
        """Delete a pod, and bring the EndpointSlices up to date; a pod that is not there is fine.

        With `linger` it stays, terminating, until it is deleted again. Connections that were
        open stay open: there is no container to end.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if linger:
            self.admin.merge(path, {"metadata": manifests.LINGERING})
            self.admin.delete(path)
        elif self.admin.exists(path):
            with suppress_missing():  # one that was terminating goes by itself, as soon as nothing holds it
                self.admin.merge(path, {"metadata": {"finalizers": None}})
            self.admin.delete(path, grace=0)
            self._kwok.wait_for(f"pod {name} is gone", lambda: not self.admin.exists(path))
        self.sync_endpoints(namespace)

    def sync_endpoints(self, namespace: str = NAMESPACE) -> None:
        """Bring the EndpointSlices up to date, as a controller manager would do by itself."""
        pods = self.pods(namespace)
        for service in self.admin.get(f"/api/v1/namespaces/{namespace}/services")["items"]:
            wanted = service["spec"].get("selector", {}).items()
            chosen = [p for p in pods if wanted <= p["metadata"].get("labels", {}).items()]
            self.apply(manifests.endpoint_slice(service, chosen))

    def forward_target(self, port: int, address: str, target_port: int, *, pod: str | None = None) -> None:
        """Let connections to `port` of one pod, or of all that have no target of their own, lead elsewhere.

        Holds for connections to come, on both nodes; open ones stay.
        """
        self._targets.set(port, f"{address}:{target_port}", pod)

    def idle_timeout(self, seconds: float) -> None:
        """After how long without a message RUNTIME_NODE closes a connection; for connections to come."""
        self._targets.idle(seconds)

    def _wait_condition(self, actor: Daemon, manifest: Manifest, condition: str) -> None:
        path = self.admin.path(manifest)
        actor.wait_for(
            f"{path} is {condition}", lambda: manifests.has_condition(self.admin.get(path), condition)
        )
