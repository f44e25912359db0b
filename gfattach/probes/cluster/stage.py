"""Stage "cluster": from the kubeconfig to what the operator published, in the order in which it is used.

What is asked of the Services that are to be forwarded is a stage of its own, `services`: which
ones they are may be known only from what the operator published.
"""

from __future__ import annotations

from gfattach.core.finding import Stage
from gfattach.probes.cluster.config import CONTEXT, CREDENTIAL, KUBECONFIG
from gfattach.probes.cluster.identity import IDENTITY, PROFILE
from gfattach.probes.cluster.reach import CLOCK, REACH, TLS
from gfattach.probes.cluster.services import STAGE as SERVICE_STAGE
from gfattach.probes.cluster.subject import ClusterSubject

__all__ = ["SERVICE_STAGE", "STAGE", "ClusterSubject"]

STAGE: Stage[ClusterSubject] = Stage(
    "cluster",
    "reach the cluster",
    (KUBECONFIG, CONTEXT, CREDENTIAL, REACH, TLS, CLOCK, IDENTITY, PROFILE),
    headline="cluster.context",
)
