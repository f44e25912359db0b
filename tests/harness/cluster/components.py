"""The programs of the bed with their options, and when each is ready. All listen on 127.0.0.1 only."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.harness.cluster.build import Programs
from tests.harness.cluster.certs import CertificateAuthority, new_key
from tests.harness.cluster.daemon import Daemon, Guard
from tests.harness.machine.ports import free_port

# What the API server may be asked under besides 127.0.0.1.
_API_SERVER_NAMES = ("kubernetes", "kubernetes.default.svc")


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether a GET of `url` gives 200."""
    try:
        with urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        ).open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refused:
        refused.close()
        return False
    except OSError:  # which urllib's other errors are too
        return False


class ControlPlane:
    """etcd and the API server, which has `options` besides, with the certificates that belong to them."""

    def __init__(
        self, programs: Programs, home: Path, guard: Guard, options: Sequence[str | Path] = ()
    ) -> None:
        self.authority = CertificateAuthority(home)
        self.etcd_port, self._port = free_port(), free_port()
        self.server = f"https://127.0.0.1:{self._port}"
        self._trusting = ssl.create_default_context(cafile=str(self.authority.certificate))
        probe = self.authority.client("system:bed-probe", ("system:masters",))
        self._trusting.load_cert_chain(probe.certificate, probe.key)
        self.etcd = self._etcd(programs.etcd, home, guard)
        self.apiserver = self._apiserver(programs.kube_apiserver, home, guard, options)

    def _etcd(self, program: Path, home: Path, guard: Guard) -> Daemon:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        command: list[str | Path] = [
            program,
            f"--data-dir={home / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        return Daemon("etcd", command, lambda: answers(f"{client}/health"), home, guard)

    def _apiserver(self, program: Path, home: Path, guard: Guard, options: Sequence[str | Path]) -> Daemon:
        serving = self.authority.server("kube-apiserver", _API_SERVER_NAMES)
        kubelet_client = self.authority.client("kube-apiserver", ("system:masters",))
        new_key(home / "service-accounts.key")
        command: list[str | Path] = [
            program,
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            "--advertise-address=127.0.0.1",
            # A loopback address is not allowed in the endpoints of the service "kubernetes".
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.certificate}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={home / 'service-accounts.key'}",
            f"--service-account-signing-key-file={home / 'service-accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # It would refuse pods until a controller manager had made the default accounts.
            "--disable-admission-plugins=ServiceAccount",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={kubelet_client.certificate}",
            f"--kubelet-client-key={kubelet_client.key}",
            # At once, also while clients watch.
            "--shutdown-delay-duration=0s",
            *options,
        ]
        return Daemon("kube-apiserver", command, self._ready, home, guard)

    def _ready(self) -> bool:
        return answers(f"{self.server}/readyz", self._trusting)


def kwok(
    programs: Programs, home: Path, guard: Guard, authority: CertificateAuthority, kubeconfig: Path, port: int
) -> Daemon:
    """KWOK: runs the pods of all nodes, and serves port-forward for its own node on `port`.

    It watches its port-forward rules in the API server, so that a change cuts nothing off.
    """
    serving = authority.server("kwok")
    command: list[str | Path] = [
        programs.kwok,
        f"--kubeconfig={kubeconfig}",
        f"--config={Path(__file__).parent / 'bed' / 'kwok.yaml'}",
        "--manage-all-nodes=true",
        "--enable-crds=ClusterPortForward,PortForward",
        "--node-ip=127.0.0.1",
        f"--node-port={port}",
        f"--server-address=127.0.0.1:{port}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        # With leases a KWOK that was killed and came back would wait for its own to run out.
        "--node-lease-duration-seconds=0",
    ]
    return Daemon("kwok", command, lambda: answers(f"http://127.0.0.1:{port}/healthz"), home, guard)


class RuntimeNode(Daemon):
    """A kubelet's port-forward as container runtimes serve it (bed/runtime-node)."""

    def __init__(self, programs: Programs, home: Path, guard: Guard, authority: CertificateAuthority) -> None:
        self.port = free_port()
        self._config = home / "runtime-node.json"
        serving = authority.server("runtime-node")
        trusting = ssl.create_default_context(cafile=str(authority.certificate))
        command: list[str | Path] = [
            programs.runtime_node,
            f"--listen=127.0.0.1:{self.port}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--config={self._config}",
        ]
        url = f"https://127.0.0.1:{self.port}/healthz"
        super().__init__("runtime-node", command, lambda: answers(url, trusting), home, guard)

    def configure(self, targets: dict[str, str], idle_seconds: float) -> None:
        """Set where "PORT" and "NAMESPACE/POD:PORT" lead and the idle time, for connections to come."""
        unfinished = self._config.with_suffix(".new")
        unfinished.write_text(json.dumps({"targets": targets, "idleSeconds": idle_seconds}))
        unfinished.replace(self._config)


class BazelRemote(Daemon):
    """A real cache: HTTP on `http_port`, gRPC on `grpc_port`. What it holds survives a restart."""

    def __init__(self, programs: Programs, home: Path, guard: Guard) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        command: list[str | Path] = [
            programs.bazel_remote,
            f"--dir={home / 'bazel-remote'}",
            "--max_size=1",  # GiB
            f"--http_address=127.0.0.1:{self.http_port}",
            f"--grpc_address=127.0.0.1:{self.grpc_port}",
            "--enable_endpoint_metrics",
        ]
        super().__init__("bazel-remote", command, lambda: answers(f"{self.url}/status"), home, guard)
