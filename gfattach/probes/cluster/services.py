"""Stage "services": what is asked of the Services that are to be forwarded, down to their bytes.

The subject is that of stage "cluster", which resolved its connection and is asked before in the same run.
"""

from __future__ import annotations

from gfattach.core.finding import Stage
from gfattach.probes.cluster.forward import CACHE, UPGRADE
from gfattach.probes.cluster.pods import SERVICE
from gfattach.probes.cluster.rights import RIGHTS
from gfattach.probes.cluster.subject import ClusterSubject

STAGE: Stage[ClusterSubject] = Stage(
    "services",
    "open a forward to the caches",
    (RIGHTS, SERVICE, UPGRADE, CACHE),
    headline="cluster.service",
)
