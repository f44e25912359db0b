"""The bed with ARC's kinds, a real scheduler, the controller manager's quota, and an audit log."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.harness.arc import crds
from tests.harness.cluster import components, manifests
from tests.harness.cluster.build import Programs
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.daemon import Daemon, wait_until
from tests.harness.machine.ports import free_port

#: Of the controller manager only these run: what counts quotas, and what makes generic ephemeral volumes.
CONTROLLERS = ("resourcequota-controller", "ephemeral-volume-controller")

NAMESPACES = ("arc-runners", "arc-systems")


#: A user with the rights that are shipped.
VIEWER = "queue-viewer"


def viewer_rules() -> list[dict[str, Any]]:
    """The rules of the ClusterRole that is shipped."""
    import yaml

    from gfattach.queue.roles import manifests as shipped

    rules: list[dict[str, Any]] = next(iter(yaml.safe_load_all(shipped())))["rules"]
    return rules


#: Operations that etcd takes in one transaction.
_BATCH = 100

#: Where the storage keeps kinds whose place is not their plural.
_PLACES = {"Pod": "pods", "Node": "minions", "Deployment": "deployments"}


def _key(document: dict[str, Any]) -> str:
    """The storage's key of a document."""
    kind, metadata = document["kind"], document["metadata"]
    place = _PLACES.get(kind) or f"{crds.GROUP}/{kind.lower()}s"
    return "/".join(["/registry", place, *filter(None, [metadata.get("namespace")]), metadata["name"]])


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class ArcCluster(Cluster):
    """A running cluster that knows ARC's kinds. `chart` says of which chart they are."""

    def __init__(self, directory: Path, programs: Programs) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.audit_log = directory / "audit.log"
        policy = directory / "audit-policy.yaml"
        policy.write_text(
            json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]})
        )
        options = [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]
        super().__init__(directory, programs, options)
        self.chart = ""
        self._scheduler = self._planner("kube-scheduler", programs.kube_scheduler)
        named = ["--controllers=" + ",".join(CONTROLLERS), "--use-service-account-credentials=false"]
        self._manager = self._planner("kube-controller-manager", programs.kube_controller_manager, *named)

    @property
    def daemons(self) -> list[Daemon]:
        """All programs, in the order in which they start."""
        return [*super().daemons, self._scheduler, self._manager]

    def start(self) -> None:
        """Bring everything up; on return ARC's kinds are served and a pod is scheduled."""
        super().start()
        for daemon in (self._scheduler, self._manager):
            daemon.start()
        for name in NAMESPACES:
            self.apply(manifests.namespace(name))
        self.install("0.13")

    def install(self, chart: str) -> None:
        """Serve ARC's kinds as a chart defines them; return when a field of it is kept."""
        if self.chart == chart:
            return
        for definition in crds.definitions(chart):
            self._wait_condition(self._control.apiserver, self.apply(definition), "Established")
        field = "phase" if chart >= "0.14" else "state"
        wait_until(f"the API server keeps status.{field}", lambda: self._keeps(field))
        self.chart = chart

    def _keeps(self, field: str) -> bool:
        path = f"/apis/{crds.GROUP}/{crds.VERSION}/namespaces/default/autoscalingrunnersets"
        probe = {
            "apiVersion": f"{crds.GROUP}/{crds.VERSION}",
            "kind": "AutoscalingRunnerSet",
            "metadata": {"name": "probe", "namespace": "default"},
        }
        self.admin.delete(f"{path}/probe")
        self.admin.post(path, probe)
        made = self.admin.merge(f"{path}/probe/status", {"status": {field: "Running"}})
        self.admin.delete(f"{path}/probe")
        return made.get("status", {}).get(field) == "Running"

    def store(self, documents: Sequence[dict[str, Any]]) -> None:
        """Put thousands of documents, with uids and status, straight into the storage, in batches.

        Through the API each takes two requests. The API server reads JSON from its storage as it reads its
        own encoding.
        """
        with httpx.Client(base_url=f"http://127.0.0.1:{self._control.etcd_port}", timeout=60) as http:
            for start in range(0, len(documents), _BATCH):
                puts = [
                    {"requestPut": {"key": _encoded(_key(each)), "value": _encoded(json.dumps(each))}}
                    for each in documents[start : start + _BATCH]
                ]
                http.post("/v3/kv/txn", json={"success": puts}).raise_for_status()

    def audited(self, user: str) -> list[dict[str, Any]]:
        """What the API server's audit log says of a user's requests, once for each."""
        lines = self.audit_log.read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        done = [each for each in entries if each["stage"] == "ResponseComplete"]
        return [each for each in done if each["user"].get("username") == user]

    def _planner(self, name: str, program: Path, *more: str) -> Daemon:
        port = free_port()
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE  # it makes itself a certificate, for its own health alone
        command: list[str | Path] = [
            program,
            f"--kubeconfig={self.admin_kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--leader-elect=false",
            f"--cert-dir={self.directory}",
            *more,
        ]
        url = f"https://127.0.0.1:{port}/healthz"
        return Daemon(name, command, lambda: components.answers(url, trusting), self.directory, self._guard)
