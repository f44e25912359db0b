"""What is asked of a Nix substituter, from the way there to the content of its files."""

from __future__ import annotations

from gfattach.finding import Stage
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter_attic import ATTIC, STORE, TOKEN
from gfattach.probes.substituter_content import INFO, NARINFO
from gfattach.probes.substituter_nar import NAR
from gfattach.probes.substituter_protocol import PROTOCOL
from gfattach.probes.substituter_reach import PORT, PROXY, RESOLVE
from gfattach.probes.substituter_signature import SIGNATURE

STAGE: Stage[SubstituterTarget] = Stage(
    name="substituter",
    title="Nix substituter",
    probes=(STORE, TOKEN, PROXY, RESOLVE, PORT, PROTOCOL, INFO, ATTIC, NARINFO, SIGNATURE, NAR),
)
