"""A proof in words: phases, verdicts, headline. `up`, `prove` and `site warm` share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gfattach.report.text import headline, seconds

if TYPE_CHECKING:
    from gfattach.proof.evidence import Phase
    from gfattach.proof.record import Proof


def phase_lines(phases: Iterable[Phase]) -> Iterator[str]:
    """A line a phase: hits of what was asked, first hit, duration, warm or cold server."""
    for phase in phases:
        server = {None: "", True: ", warm server", False: ", cold server"}[phase.warm]
        first = "" if phase.first_hit is None else f", first after {seconds(phase.first_hit - phase.started)}"
        yield (
            f"{phase.client.value:<9} {phase.name.value:<8} {phase.hits} of {phase.asked} from the cache"
            f"{first}  ({seconds(phase.seconds)}{server})"
        )
        if phase.hits and (stages := phase.detail.get("stages")):
            spans = " · ".join(f"{name} {span:.3f}" for name, span in stages.items())
            yield f"{'':<18} {phase.detail.get('bytes', 0)} bytes of NARs ({spans})"


def proof_lines(proof: Proof) -> Iterator[str]:
    """A verdict a client, and what to run next."""
    for client in proof.clients:
        yield f"{client.client.value}: {client.verdict.value.replace('-', ' ')}: {client.reason}"
    for hint in proof.hints:
        yield f"  {hint}"


def headline_lines(proof: Proof) -> Iterator[str]:
    """The time to first cache hit, or that there was none."""
    if proof.first_hit is not None:
        yield headline(proof.first_hit)
    else:
        yield "time to first cache hit  none: nothing was served from a cache"
