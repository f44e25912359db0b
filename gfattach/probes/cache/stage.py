"""Stage "cache": the Bazel remote cache, asked from the name down to a blob."""

from __future__ import annotations

from gfattach.core.finding import Stage
from gfattach.probes.cache.capabilities import CAPABILITY_PROBES
from gfattach.probes.cache.content import CONTENT_PROBES
from gfattach.probes.cache.protocol import CLIENT, PROTOCOL
from gfattach.probes.endpoint.reach import reach_probes
from gfattach.reapi.target import CacheTarget

STAGE: Stage[CacheTarget] = Stage(
    "cache",
    "ask the Bazel cache",
    (*reach_probes(CLIENT, sockets=True), PROTOCOL, *CAPABILITY_PROBES, *CONTENT_PROBES),
    headline="cache.capabilities",
)
