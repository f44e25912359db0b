"""Where a kubeconfig is written that kubectl and gfattach are both asked with, and what each makes of it.

kubectl asks the real API server who it is, and so does a request over the connection that gfattach resolves.
A module that uses `room` imports its fixtures by name, `account_token` too.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import NAMESPACE

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(
    KUBECTL is None, reason="no kubectl; install it: apt-get install kubernetes-client"
)

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:resolver"
V1 = "client.authentication.k8s.io/v1"


@dataclass
class Room:
    """Where a case writes its files, and how both programs are called."""

    directory: Path
    server: str
    authority: Path
    certificate: Path
    key: Path
    token: str
    files: list[Path] = field(default_factory=list)
    context: str | None = None
    explicit: bool = False
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def ca(self) -> dict[str, Any]:
        return {"certificate-authority-data": base64.b64encode(self.authority.read_bytes()).decode()}

    @property
    def pair(self) -> dict[str, Any]:
        return {"client-certificate": str(self.certificate), "client-key": str(self.key)}

    def plugin(self, script: str, name: str = "plugin", **entry: Any) -> dict[str, Any]:
        """A user whose exec plugin is this shell script, beside the kubeconfig."""
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return {
            "exec": {"apiVersion": V1, "command": f"./{name}", "interactiveMode": "Never"} | entry,
        }

    def exec_credential(self, version: str = V1, **status: Any) -> str:
        """A script that prints an ExecCredential."""
        answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
        return f"cat <<'END'\n{json.dumps(answer)}\nEND"

    def write(
        self,
        user: dict[str, Any] | None = None,
        cluster: dict[str, Any] | None = None,
        file: str = "config",
        current: str = "main",
        **more: Any,
    ) -> None:
        """A kubeconfig with one context `main`; a None in `cluster` takes a key away."""
        entry = {"server": self.server, **self.ca, **(cluster or {})}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": current,
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
            "clusters": [{"name": "main", "cluster": {k: v for k, v in entry.items() if v is not None}}],
            "users": [{"name": "main", "user": self.pair if user is None else user}],
            **more,
        }
        self.add(file, json.dumps(document))

    def add(self, file: str, text: str) -> None:
        path = self.directory / file
        path.write_text(text)
        self.files.append(path)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
        }
        if not self.explicit:
            own["KUBECONFIG"] = os.pathsep.join(str(file) for file in self.files)
        return own | self.environ

    def kubectl(self) -> tuple[str | None, str]:
        """Who the API server takes kubectl for, None when it refuses; and what it says."""
        assert KUBECTL is not None
        options = ["--kubeconfig", str(self.files[0])] if self.explicit else []
        options += ["--context", self.context] if self.context else []
        done = subprocess.run(
            [KUBECTL, *options, "--request-timeout=5s", "auth", "whoami", "-o", "json"],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            return None, done.stderr
        return str(json.loads(done.stdout)["status"]["userInfo"]["username"]), done.stderr

    def gfattach(self) -> tuple[str | None, str]:
        """The same for a connection that gfattach resolves."""
        files = tuple(self.files[:1]) if self.explicit else None
        try:
            connection = resolve(ClusterRef(files, self.context), Deadline.after(30), self.environment)
            status, answer = ask(connection)
        except (ClusterError, OSError) as error:
            return None, str(error)
        if status != 201:
            return None, f"{status}: {answer.get('message')}"
        return str(answer["status"]["userInfo"]["username"]), ""


def ask(connection: ClusterConnection) -> tuple[int, dict[str, Any]]:
    """POST a SelfSubjectReview over `connection`: status and document."""
    proxy = connection.proxy
    route = (connection.host, connection.port) if proxy is None else (proxy.host, proxy.port)
    with socket.create_connection(route, timeout=10) as raw:
        if proxy is not None:
            login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
            raw.sendall(
                f"CONNECT {connection.authority} HTTP/1.1\r\nHost: {connection.authority}\r\n"
                f"Proxy-Authorization: Basic {login}\r\n\r\n".encode()
            )
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
        secured = raw
        with contextlib.ExitStack() as opened:
            if connection.tls is not None:
                tls = connection.tls.wrap_socket(raw, server_hostname=connection.server_name)
                secured = opened.enter_context(tls)
                assert tls.selected_alpn_protocol() == "http/1.1"
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            body = json.dumps(review)
            lines = [
                f"POST {connection.path}{REVIEWS} HTTP/1.1",
                f"Host: {connection.authority}",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                "Connection: close",
                *(f"{name}: {value}" for name, value in connection.headers),
            ]
            secured.sendall("\r\n".join([*lines, "", body]).encode())
            answer = b"".join(iter(lambda: secured.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, json.loads(content) if status in (201, 401, 403) else {}


@pytest.fixture(scope="module")
def account_token(cluster: Cluster) -> str:
    """A token of the service account `resolver`."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "resolver", "namespace": NAMESPACE},
        }
    )
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/resolver/token"
    return str(cluster.admin.post(path, asked)["status"]["token"])


@pytest.fixture
def room(cluster: Cluster, account_token: str, tmp_path: Path) -> Room:
    """A case's room, with the administrator's certificate as files."""
    config = json.loads(cluster.admin_kubeconfig.read_text())
    user = config["users"][0]["user"]
    pair = tmp_path / "admin.crt", tmp_path / "admin.key"
    for path, name in zip(pair, ("client-certificate-data", "client-key-data"), strict=True):
        path.write_bytes(base64.b64decode(user[name]))
    return Room(tmp_path, cluster.server, cluster.ca, *pair, account_token)


Arrange = Callable[[Room], None]
