"""The audit: every thing of the table looked for, and what could not be looked for."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from gfattach.core.quote import word
from gfattach.queue.audit.rules import HYGIENE, Amiss, Hygiene
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import World


class Defect(Struct, frozen=True):
    """One thing amiss."""

    rule: Hygiene
    amiss: Amiss

    @property
    def sentence(self) -> str:
        """What was seen."""
        return self.rule.sentence.format(**self.amiss.facts)

    @property
    def takes(self) -> tuple[str, ...]:
        """What it would take; names are quoted as a shell needs it."""
        facts = {k: word(v) if isinstance(v, str) else v for k, v in self.amiss.facts.items()}
        return tuple(each.format(**facts) for each in self.rule.takes)


class Audit(Struct, frozen=True):
    """All that is amiss, what was found well, and which rules a missing right left open."""

    at: datetime
    findings: tuple[Defect, ...]
    clean: tuple[Hygiene, ...]
    unknown: tuple[tuple[Hygiene, str], ...]


def audit(world: World) -> Audit:
    """Look for everything in the table's order."""
    findings: list[Defect] = []
    clean, unknown = [], []
    for rule in HYGIENE:
        try:
            found = [Defect(rule, each) for each in rule.look(world)]
        except MayNot as error:
            unknown.append((rule, error.right))
            continue
        findings += found
        if not found:
            clean.append(rule)
    return Audit(world.now, tuple(findings), tuple(clean), tuple(unknown))
