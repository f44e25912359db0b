"""Running legs as steps of a run: each is measured, shown as a finding, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gfattach.core.engine import Run
from gfattach.core.finding import Finding, fail, ok, warn
from gfattach.proof.evidence import Leg, LegName

#: The codes of the findings that legs become, with their meaning.
CODES = {
    "firsthit.filled": "what a proof asks for was stored in the cache",
    "firsthit.hit": "what was asked for came from the cache",
    "firsthit.partial": "only a part of what was asked for came from the cache",
    "firsthit.nothing": "the cache answers and holds nothing of what was asked for",
    "firsthit.vanished": "with the endpoint withheld nothing came from a cache, as it should be",
    "firsthit.appeared": "hits came although the endpoint was withheld",
    "firsthit.void": "it failed, or something that is no cache had a part: this proves nothing",
}

Progress = Callable[[str], None]


class Measurement:
    """The legs of one proof, in the order in which they ran."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.legs: list[Leg] = []

    def measure(self, name: str, title: str, work: Callable[[Progress], Leg | Sequence[Leg]]) -> list[Leg]:
        """Run `work` as the step `name` and keep its legs. Raises what `work` raises."""
        measured: list[Leg] = []

        def step(progress: Progress) -> dict[str, Finding]:
            done = work(progress)
            measured.extend([done] if isinstance(done, Leg) else done)
            self.legs.extend(measured)
            many = len(measured) > 1
            return {f"{name}.{i}" if many else name: describe(leg) for i, leg in enumerate(measured)}

        self.run.step(name, title, step)
        return measured


def describe(leg: Leg) -> Finding:
    """A leg as a finding."""
    finding = _describe(leg)
    return finding.timed(leg.seconds)


def _describe(leg: Leg) -> Finding:
    who = leg.client.value
    served = f"{leg.hits} of {leg.asked}"
    if leg.violations:
        return fail(
            "firsthit.void",
            f"{who}: {leg.violations[0]}",
            "what failed, or what something else could have served, proves nothing",
            *leg.violations[1:],
            *leg.detail.get("remedies", ()),
        )
    if leg.name is LegName.CONTROL:
        if leg.hits:
            why = "something other than the endpoint served them"
            return fail("firsthit.appeared", f"{who}: {served} hits with the endpoint withheld", why)
        return ok("firsthit.vanished", f"{who}: no hit with the endpoint withheld", asked=leg.asked)
    if leg.name is LegName.FILL:
        return ok("firsthit.filled", f"{who}: {leg.asked - leg.hits} stored, {leg.hits} there already")
    if leg.hits == 0:
        return warn(
            "firsthit.nothing",
            f"{who}: none of {leg.asked} came from the cache",
            leg.detail.get("reason") or "the cache answers, and nobody has filled it with what this asks for",
            *leg.remedies,
        )
    first = f", the first after {leg.first_hit - leg.started:.2f} s" if leg.first_hit is not None else ""
    if leg.hits < leg.asked:
        why = leg.detail.get("reason") or "what is missing was built here: evicted, or never stored"
        remedies = leg.detail.get("remedies", ())
        return warn("firsthit.partial", f"{who}: {served} came from the cache{first}", why, *remedies)
    return ok("firsthit.hit", f"{who}: {served} came from the cache{first}", hits=leg.hits)
