"""What is asked of a Nix substituter, from the route there to the content of its files."""

from __future__ import annotations

from gfattach.core.finding import Stage
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter.attic import ATTIC, STORE, TOKEN
from gfattach.probes.substituter.client import REACH
from gfattach.probes.substituter.content import INFO, NARINFO
from gfattach.probes.substituter.nar import NAR
from gfattach.probes.substituter.signature import SIGNATURE

STAGE: Stage[SubstituterTarget] = Stage(
    name="substituter",
    title="Nix substituter",
    probes=(STORE, TOKEN, *REACH, INFO, ATTIC, NARINFO, SIGNATURE, NAR),
    headline="substituter.signature",
)
