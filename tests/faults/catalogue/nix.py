"""Faults of a Nix cache that is dialled directly, and of the Nix that is to use it."""

from __future__ import annotations

from tests.faults.bed import Bed
from tests.faults.catalogue.machine import file, program
from tests.faults.fault import Fault, Seed
from tests.faults.set_ups import name_substituter
from tests.harness.substituters.cases import CASES


def case(code: str) -> Seed:
    """The cache of that case of the stage "substituter"."""
    return lambda bed: name_substituter(bed, CASES[code](bed.shared))


def good_cache_and(seed: Seed) -> Seed:
    """A cache that is well, and a fault elsewhere."""

    def seeded(bed: Bed) -> None:
        name_substituter(bed, bed.shared.cache(bed.shared.good()))
        seed(bed)

    return seeded


def _named_nix(bed: Bed) -> None:
    bed.arguments += ["--nix", "/nonexistent/nix"]


#: Cases of the stage whose code is the cause that a doctor should put first.
_CODES = (
    "substituter.resolve.unknown", "substituter.resolve.cluster", "substituter.port.refused",
    "substituter.port.unreachable", "substituter.protocol.tls-for-plain", "substituter.protocol.closed",
    "substituter.protocol.silent", "substituter.protocol.unknown",
    "substituter.info.absent", "substituter.info.store", "substituter.info.unauthorised",
    "substituter.info.forbidden", "substituter.info.error", "substituter.info.status",
    "substituter.info.bad-host", "substituter.info.in-cluster", "substituter.info.redirect",
    "substituter.info.silent", "substituter.info.broken", "substituter.info.login",
    "substituter.info.malformed", "substituter.info.large",
    "substituter.narinfo.error", "substituter.narinfo.login", "substituter.narinfo.malformed",
    "substituter.narinfo.silent", "substituter.nar.absent",
    "substituter.nar.truncated", "substituter.nar.corrupt", "substituter.nar.size", "substituter.nar.hash",
    "substituter.nar.in-cluster",
    "substituter.signature.unsigned", "substituter.signature.malformed",
    "substituter.signature.unknown-key", "substituter.signature.wrong-key", "substituter.signature.key-name",
    "substituter.signature.no-keys",
)  # fmt: skip

FAULTS = (
    *(Fault("nix", code.removeprefix("substituter."), case(code), (code,)) for code in _CODES),
    Fault("nix", "what is named as Nix is not there", good_cache_and(_named_nix), ("nix.program.named",)),
    Fault(
        "nix", "a Nix that does not start", good_cache_and(program("nix", "echo cannot >&2; exit 1")),
        ("nix.program.crashed",),
    ),
    Fault("nix", "a stale host", good_cache_and(file(".envrc", "# was fuzzy-dev")), ("hazard.stale-host",)),
)  # fmt: skip
