"""What is asked of a Nix substituter, from the way there to the content of its files."""

from __future__ import annotations

from gfattach.core.finding import Stage
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter.attic import ATTIC, STORE, TOKEN
from gfattach.probes.substituter.content import INFO, NARINFO
from gfattach.probes.substituter.nar import NAR
from gfattach.probes.substituter.protocol import PROTOCOL
from gfattach.probes.substituter.reach import PORT, PROXY, RESOLVE
from gfattach.probes.substituter.signature import SIGNATURE

STAGE: Stage[SubstituterTarget] = Stage(
    name="substituter",
    title="Nix substituter",
    probes=(STORE, TOKEN, PROXY, RESOLVE, PORT, PROTOCOL, INFO, ATTIC, NARINFO, SIGNATURE, NAR),
    headline="substituter.signature",
)
