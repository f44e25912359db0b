"""Nix on this machine: is it there, does it start, does what it is told count?

A Nix that is missing is skipped: an attachment is of use without it. What keeps a working Nix from
using the substituter is warned of and ends nothing: the cache itself is proved in a store of its own,
and the fragment counts as soon as the cause is gone.
"""

from __future__ import annotations

from gfattach.core.finding import Stage
from gfattach.probes.nix.authorities import CA
from gfattach.probes.nix.flake import FLAKE
from gfattach.probes.nix.netrc import NETRC
from gfattach.probes.nix.program import MODE, PROGRAM, STARTS
from gfattach.probes.nix.remembered import NEGATIVE_CACHE, REMEMBERED
from gfattach.probes.nix.settings import KEYS, SUBSTITUTERS, TIMEOUTS
from gfattach.probes.nix.subject import NixSubject
from gfattach.probes.nix.transfer import ENCODINGS, PROXY
from gfattach.probes.nix.trust import TRUST

__all__ = ["MEMORY_STAGE", "STAGE", "NixSubject"]

STAGE: Stage[NixSubject] = Stage(
    "nix",
    "Nix on this machine",
    (
        PROGRAM,
        STARTS,
        MODE,
        TRUST,
        SUBSTITUTERS,
        FLAKE,
        KEYS,
        TIMEOUTS,
        NETRC,
        NEGATIVE_CACHE,
        REMEMBERED,
        CA,
        PROXY,
        ENCODINGS,
    ),
    headline="nix.program",
)

#: What an attachment that stands is asked: the one thing that changes behind its back.
MEMORY_STAGE: Stage[NixSubject] = Stage(
    "nix",
    "what Nix remembers",
    (PROGRAM, STARTS, MODE, REMEMBERED),
    headline="nix.program",
)
