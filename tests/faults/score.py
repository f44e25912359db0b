"""Seeding faults one after another, and the score of the doctor over them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tests.faults.bed import all_codes, bed, first_causes
from tests.faults.fault import Fault, Outcome
from tests.faults.set_ups import HEALTHY, SET_UPS, shared_by
from tests.faults.starter import Starter

#: What the doctor has to reach.
PART = 0.95


def seeded(chosen: Sequence[Fault], told: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Seed each fault into a set-up of its own, and ask the doctor."""
    outcomes = []
    with Starter() as starter, shared_by({fault.set_up for fault in chosen}) as shared:
        known = of_this_machine(starter)
        for fault in chosen:
            outcome = once(fault, starter, shared.get(fault.set_up), known)
            outcomes.append(outcome)
            told(outcome)
    return outcomes


def of_this_machine(starter: Starter) -> frozenset[str]:
    """The causes that the doctor gives here where nothing was seeded: a small disk is this machine's own."""
    found: set[str] = set()
    for set_up, seed in HEALTHY.items():
        with (
            tempfile.TemporaryDirectory(prefix="gfattach-faults-") as root,
            bed(Path(root), starter, None, SET_UPS[set_up], seed) as made,
        ):
            found |= set(first_causes(made.doctor()))
    return frozenset(found)


def once(fault: Fault, starter: Starter, shared: object, known: frozenset[str]) -> Outcome:
    """Seed one fault; again where it is missed: a machine that is too busy is no fault of it."""
    outcome = _seeded(fault, starter, shared, known)
    return outcome if outcome.right else _seeded(fault, starter, shared, known)


def _seeded(fault: Fault, starter: Starter, shared: object, known: frozenset[str]) -> Outcome:
    with (
        tempfile.TemporaryDirectory(prefix="gfattach-faults-") as root,
        bed(Path(root), starter, shared, SET_UPS[fault.set_up], fault.seed) as made,
    ):
        before = time.monotonic()
        document = made.doctor()
        took = time.monotonic() - before
    causes = tuple(code for code in first_causes(document) if code not in known or code in fault.expected)
    return Outcome(fault, causes, frozenset(all_codes(document)), took)


def row(set_up: str, outcomes: Sequence[Outcome], day: str) -> str:
    """The score of a set-up as a row of the page's table."""
    right = sum(outcome.right for outcome in outcomes)
    return f"| {set_up} | {len(outcomes)} | {right} | {day} |"


def missed(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """What was put first in place of each fault that was missed."""
    for outcome in outcomes:
        if not outcome.right:
            expected, first = " or ".join(outcome.fault.expected), ", ".join(outcome.causes) or "nothing"
            yield f"{outcome.fault.title}: expected {expected}, got {first}"
