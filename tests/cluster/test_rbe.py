"""An executor behind a Service: proved through a forward, with its worker pods looked at; and none at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cluster import manifests
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import NAMESPACE
from tests.harness.execution.justbuild import Justbuild, justbuild
from tests.harness.execution.workspaces import BAZELS, IMAGE, environment, make_workspace
from tests.harness.machine.budget import budget

pytestmark = pytest.mark.bazel

LABELS = {"app.kubernetes.io/name": "executor"}
PORTS = {"grpc": 8980}
POD = f"/api/v1/namespaces/{NAMESPACE}/pods/executor-0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Justbuild]:
    with justbuild(tmp_path_factory.mktemp("justbuild")) as running:
        yield running


@pytest.fixture
def service(cluster: Cluster, server: Justbuild) -> Iterator[None]:
    """A Service whose port leads to the server, and no pod yet."""
    cluster.apply(manifests.service("executor", NAMESPACE, LABELS, PORTS))
    cluster.forward_target(PORTS["grpc"], "127.0.0.1", server.port)
    yield
    cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/executor")
    cluster.delete_pod("executor-0")


def tell(cluster: Cluster, restarts: int) -> None:
    """Have the pod's status say what a container runtime would."""
    container = {
        "name": "cache",
        "image": "executor:latest",
        "imageID": f"registry.example.com/executor@{IMAGE}",
        "containerID": "containerd://1",
        "ready": True,
        "started": True,
        "restartCount": restarts,
        "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}},
    }
    cluster.admin.merge(f"{POD}/status", {"status": {"containerStatuses": [container]}})


@pytest.fixture
def worker(cluster: Cluster, service: None) -> None:
    cluster.create_pod("executor-0", labels=LABELS, ports=PORTS)
    tell(cluster, restarts=0)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "letters")


def command(workspace: Path, program: str, flags: tuple[str, ...], kubeconfig: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "gfattach", "rbe", "prove", "//:b", "--allow-candidate"]
    words += ["--workspace", str(workspace), "--bazel", program]
    words += ["--kubeconfig", str(kubeconfig), "--executor-service", f"{NAMESPACE}/executor:grpc"]
    return [*words, "--evidence", str(workspace.parent / "evidence"), *more, "--", *flags]


def variables() -> dict[str, str]:
    """The executor under its name in the cluster, where this machine could not dial it."""
    named = environment("grpc://executor.nix-cache.svc:8980")
    del named["GF_BAZEL_ALLOW_LOCALHOST_PROOF"]
    return {**os.environ, **named}


def ask(workspace: Path, kubeconfig: Path) -> tuple[int, dict[str, Any]]:
    """Prove with a Bazel that is never come to."""
    words = command(workspace, BAZELS["bazel-4.2.3"]()[0], (), kubeconfig, "--output", "json")
    done = subprocess.run(words, env=variables(), capture_output=True, text=True, timeout=budget(300))
    return done.returncode, json.loads(done.stdout)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("bazel", BAZELS)
def test_an_execution_is_proved_through_a_forward(cluster: Cluster, workspace: Path, bazel: str) -> None:
    program, flags = BAZELS[bazel]()
    words = command(workspace, program, flags, cluster.kubeconfig, "--output", "json")
    done = subprocess.run(words, env=variables(), capture_output=True, text=True, timeout=budget(900))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)["result"]["evidence"]
    assert told["endpoints"]["through"] == f"Service {NAMESPACE}/executor:grpc"
    assert told["endpoints"]["executor"].startswith("grpc://127.0.0.1:")
    (pod,) = told["workers"]
    assert (pod["name"], pod["uid"]) == ("executor-0", cluster.admin.get(POD)["metadata"]["uid"])
    assert (told["image_digest"], told["restarts"]) == (IMAGE, 0)
    assert "workers were not looked at" not in told["not_proved"]
    verify = [sys.executable, "-m", "gfattach", "rbe", "verify", str(workspace.parent / "evidence")]
    assert subprocess.run([*verify, "--require-image-digest", IMAGE], capture_output=True).returncode == 0


@pytest.mark.usefixtures("worker")
def test_a_worker_that_is_restarted_while_it_builds(cluster: Cluster, workspace: Path) -> None:
    program, flags = BAZELS["bazel-4.2.3"]()
    words = command(workspace, program, flags, cluster.kubeconfig, "--output", "plain")
    with subprocess.Popen(
        words, env=variables(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        said = []
        for line in run.stderr:
            said.append(line)
            if "rbe-build: building" in line:
                tell(cluster, restarts=1)
        assert run.wait(budget(900)) == 4, "".join(said)
    assert any("rbe.proof.worker-restarted" in line for line in said)


@pytest.mark.usefixtures("service")
def test_an_executor_that_is_scaled_to_zero_is_named_so(cluster: Cluster, workspace: Path) -> None:
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "cache", "image": "executor"}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cell", "namespace": NAMESPACE},
        "spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": template},
    }
    cluster.apply(deployment)
    try:
        code, document = ask(workspace, cluster.admin_kubeconfig)
        assert (code, document["error"]["code"]) == (1, "rbe.workers.scaled-to-zero")
        assert "kubectl -n nix-cache scale deployment/cell --replicas=1" in document["error"]["hints"][-1]
        after = cluster.admin.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/cell")
        assert after["spec"]["replicas"] == 0
        # Who may not read deployments is told that there is no worker, and no more.
        code, document = ask(workspace, cluster.kubeconfig)
        assert (code, document["error"]["code"]) == (1, "rbe.workers.none")
    finally:
        cluster.admin.delete(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/cell")


def test_a_service_that_is_not_there(cluster: Cluster, workspace: Path) -> None:
    code, document = ask(workspace, cluster.kubeconfig)
    assert (code, document["error"]["code"]) == (1, "cluster.service.missing")


@pytest.mark.usefixtures("worker")
def test_a_forward_that_leads_to_nothing(cluster: Cluster, workspace: Path) -> None:
    cluster.forward_target(PORTS["grpc"], "127.0.0.1", 9)
    code, document = ask(workspace, cluster.kubeconfig)
    assert (code, document["error"]["code"]) == (1, "rbe.prove.forward")
