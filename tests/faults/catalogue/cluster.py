"""Faults of an attachment into the real test cluster: server, pods, Services, rights, the agent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.faults.bed import Bed
from tests.faults.catalogue.trial import ended, stopped
from tests.faults.fault import Seed, faults
from tests.harness.cluster.manifests import DEVELOPER_RULES, NAMESPACE, POD, PORTS, SERVICE


def on_cluster(work: Any) -> Seed:
    """This is done to the cluster."""
    return lambda bed: work(bed.shared)


def as_user(name: str, rules: Any, **lifetime: Any) -> Seed:
    """The developer is another user from now on."""

    def seed(bed: Bed) -> None:
        bed.machine.variables["KUBECONFIG"] = str(bed.shared.user(name, rules, **lifetime))

    return seed


def _server_gone(bed: Bed) -> None:
    bed.stack.callback(bed.shared.start_apiserver)
    bed.shared.kill_apiserver()


def _without_forwarding() -> list[dict[str, Any]]:
    return [rule for rule in DEVELOPER_RULES if "pods/portforward" not in rule["resources"]]


def _cache_gone(bed: Bed) -> None:
    bed.stack.callback(bed.shared.cache.start)
    bed.shared.cache.kill()


def _nowhere(bed: Bed) -> None:
    """The pod's port leads to one that nothing listens on."""
    bed.shared.forward_target(PORTS["grpc"], "127.0.0.1", 9)


def _crashing(bed: Bed) -> None:
    bed.shared.delete_pod(POD)
    bed.shared.create_pod("bazel-cache-1", unready=("CrashLoopBackOff", "back-off 5m0s"))


FAULTS = faults(
    "cluster",
    {
        "the API server has ended": (_server_gone, "cluster.reach.refused"),
        "the cache has ended": (_cache_gone, "forward.down|cluster.upgrade.refused"),
        "the pod has been deleted": (
            on_cluster(lambda c: c.delete_pod(POD)), "forward.down|cluster.service.pods.none"
        ),
        "the pod crashes": (_crashing, "forward.down|cluster.service.pods.none"),
        "the Service has been deleted": (
            on_cluster(lambda c: c.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}")),
            "forward.down|site.service.none|cluster.service.missing",
        ),
        "the pod's port leads nowhere": (_nowhere, "forward.down|cluster.upgrade.refused"),
        "the user has no right": (as_user("newcomer", []), "cluster.rights.missing"),
        "the user may not forward": (as_user("looker", _without_forwarding()), "cluster.rights.missing"),
        "the user's certificate has expired": (
            as_user("late", [], lifetime=timedelta(hours=-1)), "cluster.credential.expired"
        ),
        "the agent has been killed": (ended("agent"), "agent.ended"),
        "the agent is stopped": (stopped("agent"), "agent.hung"),
        "the kubeconfig is gone": (
            lambda bed: bed.machine.variables.update(KUBECONFIG="/nonexistent/config"),
            "cluster.kubeconfig.missing|site.empty",
        ),
    },
)  # fmt: skip
