"""The evidence of a first hit: what was asked, what was served from where, and when.

A proof has phases. `fill` asks for what cannot be there yet and stores it, `hit` asks for it
again, `control` asks once more with the endpoint withheld. Moments are seconds on
`time.monotonic()` of the process that measured; `record` turns them into seconds from an
origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from gfattach.core.quote import command


class PhaseName(StrEnum):
    """What a phase is there to show."""

    FILL = "fill"
    HIT = "hit"
    CONTROL = "control"


class Client(StrEnum):
    """Who asked."""

    PROTOCOL = "protocol"
    BAZEL = "bazel"
    NIX = "nix"


class Phase(Struct, frozen=True):
    """One phase of a proof, as measured.

    `asked` counts actions (or store paths) that could have been served by the cache, `hits`
    those that were, `local` those that were built here. `first_hit` is the moment of the first
    one served, None when there was none. `warm` says whether the client's own server ran
    already; it is None for a client that has none. `rpcs` counts calls by method and outcome
    (`GetActionResult OK`). `violations` are facts that void the phase as a proof of a cache:
    an executor's call, a disk cache, a remote spawn.
    """

    client: Client
    name: PhaseName
    started: float
    seconds: float
    asked: int
    hits: int
    local: int
    first_hit: float | None = None
    warm: bool | None = None
    rpcs: Mapping[str, int] = field(default_factory=dict)
    violations: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do when nothing of it came from the cache, as hints: its own, or how it is filled."""
        if "remedies" in self.detail:
            return tuple(self.detail["remedies"])
        if self.client is Client.NIX:
            return ()
        if labels := self.detail.get("targets"):
            build = command("gfattach", "bazel", "build", *labels)
            return (
                f"to fill it, from a lane that may write: GF_BAZEL_REMOTE_UPLOAD=true {build}",
                'a lane may write where the site says cache.upload = "trusted": gfattach site show',
            )
        return ("to fill it, an operator runs, from a lane that may write: gfattach site warm --upload",)

    def record(self, origin: float) -> dict[str, Any]:
        """The phase as a JSON object, its moments in seconds from `origin`."""
        return {
            "client": self.client.value,
            "phase": self.name.value,
            "warm": self.warm,
            "started": round(self.started - origin, 4),
            "seconds": round(self.seconds, 4),
            "first_hit": None if self.first_hit is None else round(self.first_hit - origin, 4),
            "to_first_hit": None if self.first_hit is None else round(self.first_hit - self.started, 4),
            "asked": self.asked,
            "hits": self.hits,
            "local": self.local,
            "rpcs": dict(self.rpcs),
            "violations": list(self.violations),
            **dict(self.detail),
        }
