"""Running phases as steps of a run: each is measured, shown as a finding, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gfattach.core.engine import Progress, Run
from gfattach.core.finding import Finding, fail, ok, warn
from gfattach.proof.evidence import Phase, PhaseName

#: The codes of the findings that phases become, with their meaning.
CODES = {
    "firsthit.filled": "what a proof asks for was stored in the cache",
    "firsthit.hit": "what was asked for came from the cache",
    "firsthit.partial": "only a part of what was asked for came from the cache",
    "firsthit.nothing": "the cache answers and holds nothing of what was asked for",
    "firsthit.vanished": "with the endpoint withheld nothing came from a cache, as it should be",
    "firsthit.appeared": "hits came although the endpoint was withheld",
    "firsthit.void": "it failed, or something that is no cache had a part: this proves nothing",
}


class Measurement:
    """The phases of one proof, in the order in which they ran."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.phases: list[Phase] = []

    def measure(
        self, name: str, title: str, work: Callable[[Progress], Phase | Sequence[Phase]]
    ) -> list[Phase]:
        """Run `work` as the step `name` and keep its phases. Raises what `work` raises."""

        def step(progress: Progress) -> tuple[list[Phase], dict[str, Finding]]:
            done = work(progress)
            measured = [done] if isinstance(done, Phase) else [*done]
            many = len(measured) > 1
            found = {f"{name}.{i}" if many else name: describe(phase) for i, phase in enumerate(measured)}
            return measured, found

        measured, _ = self.run.obtain(name, title, step)
        self.phases += measured
        return measured


def describe(phase: Phase) -> Finding:
    """A phase as a finding."""
    finding = _describe(phase)
    return finding.timed(phase.seconds)


def _describe(phase: Phase) -> Finding:
    who = phase.client.value
    served = f"{phase.hits} of {phase.asked}"
    never = phase.detail.get("never_asked", 0) if phase.asked else 0
    apart = f"; {never} that may not be cached ran here besides" if never else ""
    if phase.violations:
        return fail(
            "firsthit.void",
            f"{who}: {phase.violations[0]}",
            "what failed, or what something else could have served, proves nothing",
            *phase.violations[1:],
            *phase.detail.get("remedies", ()),
        )
    if phase.name is PhaseName.CONTROL:
        if phase.hits:
            why = "something other than the endpoint served them"
            return fail("firsthit.appeared", f"{who}: {served} hits with the endpoint withheld", why)
        return ok("firsthit.vanished", f"{who}: no hit with the endpoint withheld", asked=phase.asked)
    if phase.name is PhaseName.FILL:
        return ok("firsthit.filled", f"{who}: {phase.asked - phase.hits} stored, {phase.hits} there already")
    if phase.hits == 0:
        return warn(
            "firsthit.nothing",
            f"{who}: none of {phase.asked} came from the cache{apart}",
            phase.detail.get("reason")
            or "the cache answers, and nobody has filled it with what this asks for",
            *phase.remedies,
        )
    first = (
        f", the first after {phase.first_hit - phase.started:.2f} s" if phase.first_hit is not None else ""
    )
    if phase.hits < phase.asked:
        why = phase.detail.get("reason") or "what is missing was built here: evicted, or never stored"
        remedies = phase.detail.get("remedies", ())
        return warn("firsthit.partial", f"{who}: {served} came from the cache{first}{apart}", why, *remedies)
    return ok("firsthit.hit", f"{who}: {served} came from the cache{first}{apart}", hits=phase.hits)
