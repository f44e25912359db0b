"""What the cases of the cluster's probes are made with: kubeconfigs that are wrong in one way each."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gfattach.agent.model.spec import PodUpstream
from gfattach.cluster.connection import ClusterRef
from gfattach.probes.cluster.stage import ClusterSubject
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import NAMESPACE, SERVICE
from tests.harness.cluster.wire.middlebox import Answer, Rewrite, middlebox
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.faulty_servers import Authority

GRPC = PodUpstream(NAMESPACE, SERVICE, "grpc")
HTTP = PodUpstream(NAMESPACE, SERVICE, "http")

#: A secret that no finding may show.
SECRET = "s3cret-token"

Document = dict[str, Any]


@dataclass
class Bench:
    """`ours` signs for what the tests serve, `theirs` for what nobody trusts."""

    cluster: Cluster
    directory: Path
    ours: Authority
    theirs: Authority
    _count: int = field(default=0)

    # Files.

    def file(self, content: str | bytes, name: str = "file") -> Path:
        """A new file."""
        self._count += 1
        path = self.directory / f"{self._count}-{name}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def environ(self, **more: str) -> dict[str, str]:
        """Nothing of the person's own."""
        home = str(self.directory)
        return {"HOME": home, "XDG_RUNTIME_DIR": home, "PATH": "/usr/bin:/bin", **more}

    # Subjects.

    def read(self, path: Path, **options: Any) -> ClusterSubject:
        """The cluster of a kubeconfig."""
        context = options.pop("context", None)
        namespace = options.pop("namespace", None)
        services = options.pop("services", (GRPC, HTTP))
        ref = ClusterRef((path,), context, namespace)
        return ClusterSubject(ref=ref, services=services, environ=self.environ(), **options)

    def config(
        self,
        change: Callable[[Document], Any] = lambda document: None,
        user: Path | None = None,
        **options: Any,
    ) -> ClusterSubject:
        """The cluster of a kubeconfig that is the developer's, or that of `user`, but for `change`."""
        document = json.loads((user or self.cluster.kubeconfig).read_text())
        change(document)
        return self.read(self.file(json.dumps(document), "kubeconfig"), **options)

    def user(self, **entry: Any) -> ClusterSubject:
        """With this user's entry in place of the client certificate."""
        return self.config(lambda document: document["users"][0].update(user=entry))

    def also(self, **entry: Any) -> ClusterSubject:
        """With this beside what the user's entry has; None takes away."""

        def change(document: Document) -> None:
            found = document["users"][0]["user"]
            found.update(entry)
            document["users"][0]["user"] = {key: value for key, value in found.items() if value is not None}

        return self.config(change)

    def at(self, server: str | None = None, **entry: Any) -> ClusterSubject:
        """With another address of the API server, and whatever else of the cluster's entry."""

        def change(document: Document) -> None:
            found = document["clusters"][0]["cluster"]
            found.update({"server": server or found["server"]} | entry)

        return self.config(change)

    def ours_at(self, port: int, **options: Any) -> ClusterSubject:
        """A server of the tests', with a token that must not be shown."""

        def change(document: Document) -> None:
            authority = base64.b64encode(self.ours.ca.read_bytes()).decode()
            cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
            document["clusters"][0]["cluster"] = cluster
            document["users"][0]["user"] = {"token": SECRET}

        return self.config(change, **options)

    def plugin(self, script: str, **entry: Any) -> ClusterSubject:
        """With a credential plugin that is this shell script."""
        path = self.file(f"#!/bin/sh\n{script}\n", "plugin")
        path.chmod(0o700)
        usual = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
        return self.user(exec={"command": str(path), **usual, **entry})

    # Servers.

    def keeping_user(self, subject: ClusterSubject) -> ClusterSubject:
        """The cluster of `subject`, as the developer with the client certificate."""
        [path] = subject.ref.kubeconfigs or ()
        return self.config(
            lambda document: document.update(clusters=json.loads(path.read_text())["clusters"])
        )

    @contextlib.contextmanager
    def between(
        self,
        answer: Answer = lambda head: None,
        rewrite: Rewrite = lambda head: head,
        *,
        shown: bool = True,
    ) -> Iterator[ClusterSubject]:
        """The cluster behind a middlebox."""
        context = self.ours.context("127.0.0.1")
        with middlebox(self.cluster, context, answer, rewrite, shown=shown) as port:
            yield self.ours_at(port)

    @contextlib.contextmanager
    def serving(self, handle: Callable[[socket.socket], None]) -> Iterator[ClusterSubject]:
        """A raw server where the API server should be."""
        with faults.talking(handle) as port:
            yield self.ours_at(port)

    @contextlib.contextmanager
    def proxied(
        self, handle: Callable[[socket.socket], None], scheme: str = "http"
    ) -> Iterator[ClusterSubject]:
        """The API server behind a proxy that is a raw server."""
        with faults.talking(handle) as port:
            yield self.at(**{"proxy-url": f"{scheme}://127.0.0.1:{port}"})

    # The cluster's own state.

    def limited(self, name: str, *rules: Document, **options: Any) -> ClusterSubject:
        """As a user who may do no more than `rules`."""
        return self.config(user=self.cluster.user(name, rules), **options)

    @contextlib.contextmanager
    def without_reviews(self) -> Iterator[None]:
        """Nobody but administrators may ask who they are and what they may do."""
        role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:basic-user"
        rules = self.cluster.admin.get(role)["rules"]
        self.cluster.admin.merge(role, {"rules": []})
        try:
            self._wait(lambda: not self._may_review())
            yield
        finally:
            self.cluster.admin.merge(role, {"rules": rules})
            self._wait(self._may_review)

    def _may_review(self) -> bool:
        from tests.harness.cluster.api import ApiError

        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            self.cluster.developer.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
        except ApiError as error:
            if error.code != 403:
                raise
            return False
        return True

    def _wait(self, met: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not met():
            assert time.monotonic() < end
            time.sleep(0.02)

    def service(self, name: str = SERVICE, **spec: Any) -> None:
        """A Service with another spec than the usual one's; the name may be a new one."""
        usual = {"type": "ClusterIP", "selector": {"app.kubernetes.io/name": SERVICE}}
        ports = [{"name": "grpc", "port": 9092, "targetPort": "grpc"}]
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {**usual, "ports": ports, **spec},
            }
        )

    @contextlib.contextmanager
    def extra_service(self, name: str, **spec: Any) -> Iterator[ClusterSubject]:
        """Such a Service for a while, and the subject that wants it."""
        self.service(name, **spec)
        try:
            yield self.config(services=(PodUpstream(NAMESPACE, name, "grpc"),))
        finally:
            self.cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{name}")

    @contextlib.contextmanager
    def profile(self, text: str) -> Iterator[ClusterSubject]:
        """With a published site."""
        name = "gfattach-site"
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "data": {"gfattach.toml": text},
            }
        )
        try:
            yield self.config()
        finally:
            self.cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")

    @contextlib.contextmanager
    def leading_to(self, handle: Callable[[socket.socket], None]) -> Iterator[ClusterSubject]:
        """The gRPC port of every pod leads to a raw server."""
        with faults.talking(handle) as port:
            self.cluster.forward_target(9092, "127.0.0.1", port)
            yield self.config(services=(GRPC,))

    def token(self) -> str:
        """A service account's token that may do what a developer may."""
        name, group = "gfattach-tests", "rbac.authorization.k8s.io"
        metadata = {"name": name, "namespace": NAMESPACE}
        self.cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        self.cluster.apply(
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": "user-developer"},
                "subjects": [{"kind": "ServiceAccount", **metadata}],
            }
        )
        asked: Document = {"user": f"system:serviceaccount:{NAMESPACE}:{name}"}
        asked |= {"resourceAttributes": {"namespace": NAMESPACE, "verb": "list", "resource": "services"}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked}
        reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        self._wait(lambda: self.cluster.admin.post(reviews, review)["status"]["allowed"])
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self.cluster.admin.post(path, request)["status"]["token"])

    # Certificates.

    def key_pair(self, name: str, days: int = 30) -> tuple[bytes, bytes]:
        """A certificate of an authority that the API server does not know, and its key."""
        certificate, key = self.theirs.issue(name, days=days)
        return certificate.read_bytes(), key.read_bytes()

    def locked(self, key: bytes) -> bytes:
        """The key with a password."""
        words = ["openssl", "pkcs8", "-topk8", "-in", str(self.file(key)), "-passout", "pass:x"]
        return subprocess.run(words, check=True, capture_output=True).stdout

    def not_yet(self) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1, by our authority, that holds from tomorrow on."""
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        _, key_file = self.ours.issue("tomorrow")
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        now = datetime.datetime.now(datetime.UTC)
        name = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self.ours._subject("tomorrow"))
            .issuer_name(self.ours._name)
            .public_key(key.public_key())  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(name, critical=False)
            .sign(self.ours._key, hashes.SHA256())
        )
        return self.file(certificate.public_bytes(serialization.Encoding.PEM)), key_file
