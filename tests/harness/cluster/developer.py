"""A developer's machine at the bed's cluster, and what an operator has put there: a filled cache, an Attic.

The Nix cache behind the Service `attic` is the one that gfattach embeds for trials: Attic itself is not to
be had here, and speaks the same protocol to a client that reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gfattach.trial.state import from_document
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import KWOK_NODE, NAMESPACE, service
from tests.harness.machine.developer import Machine, make_machine

ATTIC = "attic"
ATTIC_LABELS = {"app.kubernetes.io/name": ATTIC, "app.kubernetes.io/part-of": "build-infrastructure"}
ATTIC_PORT = 8081
ATTIC_POD = "attic-0"


def developer_machine(root: Path, cluster: Cluster) -> Machine:
    """A machine whose one way to the cluster is a developer's kubeconfig."""
    root.mkdir(parents=True, exist_ok=True)
    machine = make_machine(root)
    machine.variables["KUBECONFIG"] = str(cluster.kubeconfig)
    return machine


@contextmanager
def leaving_nothing(machine: Machine) -> Iterator[Machine]:
    """Whatever `machine` attaches meanwhile is detached at the end, and nothing of it is left."""
    before = machine.files()
    yield machine
    assert machine.run("down").returncode == 0
    assert machine.processes() == []
    assert machine.files() == before
    assert list((machine.root / "run").rglob("*")) == []
    assert [path for path in (machine.root / "home").rglob("*") if path.is_socket()] == []


def fill(root: Path, cluster: Cluster, *options: str) -> None:
    """Store in the cluster's cache what a proof asks for, from a lane that may write."""
    root.mkdir(parents=True, exist_ok=True)
    operator = make_machine(root)
    operator.write_site('[cache]\nupload = "trusted"\n')
    endpoint = f"grpc://127.0.0.1:{cluster.cache.grpc_port}"
    done = operator.run("site", "warm", "--upload", "--no-nix", "--cache", endpoint, *options)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def nix_cache(root: Path, cluster: Cluster, node: str = KWOK_NODE) -> Iterator[dict[str, Any]]:
    """A real Nix cache behind the Service `attic`, port 80; its facts, with `pid`, `port`, `public_key`.

    It keeps its content and its port when it is killed and started again with `start_nix_cache`.
    """
    root.mkdir(parents=True, exist_ok=True)
    keeper = make_machine(root)
    facts = start_nix_cache(keeper)
    try:
        cluster.apply(service(ATTIC, NAMESPACE, ATTIC_LABELS, {"http": 80}))
        cluster.create_pod(ATTIC_POD, labels=ATTIC_LABELS, ports={"http": ATTIC_PORT}, node=node)
        cluster.forward_target(ATTIC_PORT, "127.0.0.1", facts["port"])
        yield {**facts, "keeper": keeper}
    finally:
        cluster.delete_pod(ATTIC_POD)
        cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{ATTIC}")
        keeper.run("down")


def start_nix_cache(keeper: Machine) -> dict[str, Any]:
    """Have the keeper's Nix cache run, at the port that it had before."""
    done = keeper.run("up", "--trial", "--no-bazel", "--no-nix")
    assert done.returncode == 0, done.stdout + done.stderr
    state = from_document(json.loads((keeper.state / "trial/trial.json").read_text()))
    assert state is not None
    return {
        "pid": state.process.pid,
        "port": state.nix_endpoint.port,
        "public_key": state.public_key,
        "signed_path": state.signed_path,
    }


def alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
