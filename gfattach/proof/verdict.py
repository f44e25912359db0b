"""From phases to a verdict: what was proved, for whom, and what stands against it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from gfattach.core.engine import Report
from gfattach.proof.evidence import Client, Phase, PhaseName

#: The share of what was asked that has to be served for a proof: one odd action out of twenty is
#: an odd action, more is a cache that does not fit this client.
HIT_SHARE = 0.95


class Verdict(StrEnum):
    """What the phases of one client amount to, the worst last."""

    PROVED = "proved"
    NOTHING_TO_HIT = "nothing-to-hit"
    UNPROVED = "unproved"
    VOID = "void"


class ClientVerdict(Struct, frozen=True):
    """The verdict for one client; `reason` is one sentence."""

    client: Client
    verdict: Verdict
    reason: str


def judge(client: Client, phases: Iterable[Phase]) -> ClientVerdict:
    """The verdict that the phases of `client` allow. A single violation voids all of them."""
    own = [phase for phase in phases if phase.client is client]
    violations = [violation for phase in own for violation in phase.violations]
    if violations:
        return ClientVerdict(client, Verdict.VOID, violations[0])
    controls = [phase for phase in own if phase.name is PhaseName.CONTROL]
    if any(phase.hits for phase in controls):
        return ClientVerdict(
            client, Verdict.VOID, "hits came although the endpoint was withheld: something else served them"
        )
    hits = [phase for phase in own if phase.name is PhaseName.HIT]
    if not hits:
        return ClientVerdict(client, Verdict.UNPROVED, "nothing was asked")
    if all(phase.hits == 0 for phase in hits):
        what = "these targets" if "targets" in hits[0].detail else "the probe"
        empty = hits[0].detail.get("reason") or f"the cache answers and holds nothing of {what}"
        return ClientVerdict(client, Verdict.NOTHING_TO_HIT, empty)
    least = min(hits, key=lambda phase: phase.hits / max(1, phase.asked))
    served = f"{least.hits} of {least.asked}"
    if least.hits < HIT_SHARE * least.asked:
        why = f": {reason}" if (reason := least.detail.get("reason")) else ""
        return ClientVerdict(client, Verdict.UNPROVED, f"only {served} came from the cache{why}")
    vanished = ", and none with the endpoint withheld" if controls else ""
    return ClientVerdict(client, Verdict.PROVED, f"{served} came from the cache{vanished}")


def first_hit(report: Report, phases: Iterable[Phase], origin: float) -> dict[str, Any] | None:
    """When the first hit of the strongest client came, and which stages led there.

    The strongest is the build tool that a person will run: Bazel before Nix before the bare
    protocol. `seconds` counts from `origin`; the stages add up to it, the last one cut at the
    hit. None when nothing was hit.
    """
    moments: Mapping[Client, float] = {
        client: min(times)
        for client in (Client.BAZEL, Client.NIX, Client.PROTOCOL)
        if (
            times := [
                moment
                for phase in phases
                if phase.client is client and (moment := _moment(phase)) is not None
            ]
        )
    }
    for client, moment in moments.items():
        total = moment - origin
        stages = [
            {"name": stage.name, "seconds": round(min(stage.seconds, total - stage.started), 4)}
            for stage in report.stages
            if stage.started < total
        ]
        return {"client": client.value, "seconds": round(total, 4), "stages": stages}
    return None


def _moment(phase: Phase) -> float | None:
    """The moment of a first hit that counts."""
    return phase.first_hit if phase.name is PhaseName.HIT and not phase.violations else None
