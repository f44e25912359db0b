"""What stands behind an input: a pure function of what the site offers and of dated evidence.

No authority is durable by being there. A durable one is what the operator calls durable, and what was seen,
live and within some days, to hold the very bytes. The answer without either is no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from msgspec import Struct

from gfattach.inputs.model.input import UNCOVERABLE, Input


class State(Enum):
    """The states of authority, from the weakest on."""

    NONE = "none"
    UPSTREAM = "upstream-with-retries"
    EPHEMERAL = "ephemeral-distdir"
    DURABLE_CACHE = "durable-repository-cache"
    DURABLE_DISTDIR = "durable-distdir"
    DURABLE_MIRROR = "durable-mirror"

    @property
    def durable(self) -> bool:
        """Whether the gate lets it pass."""
        return self.value.startswith("durable-")

    @property
    def rank(self) -> int:
        """How much it is worth: 0 for none, 3 for a durable one of any kind."""
        return 3 if self.durable else [State.NONE, State.UPSTREAM, State.EPHEMERAL].index(self)


#: What each kind of place is, where it is durable.
DURABLE = {
    "repository-cache": State.DURABLE_CACHE,
    "distdir": State.DURABLE_DISTDIR,
    "mirror": State.DURABLE_MIRROR,
}


class Offer(Struct, frozen=True):
    """A place that the site has: its kind, where it is, and whether the operator calls it durable."""

    kind: str
    place: str
    durable: bool

    @property
    def key(self) -> str:
        """By what evidence names it."""
        return f"{self.kind}:{self.place}"


class Standing(Struct, frozen=True):
    """The authority of one input, what it is, when it was seen last, and why it is no better."""

    input: Input
    state: State
    offer: Offer | None
    verified: datetime | None
    why: str

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.input.name,
            "state": self.state.value,
            "authority": None if self.offer is None else self.offer.key,
            "verified": None if self.verified is None else self.verified.isoformat(),
            "why": self.why,
        }


#: When each input was seen at each place: by the offer's key, then by integrity.
Evidence = Mapping[str, Mapping[str, datetime]]


def standing_of(
    item: Input, offers: Sequence[Offer], evidence: Evidence, now: datetime, days: float
) -> Standing:
    """The best authority that `item` has now."""
    if item.checksum is None:
        why = UNCOVERABLE.get(item.kind, ("it has no checksum", ""))[0]
        return Standing(item, State.NONE, None, None, f"no authority can hold it: {why}")
    best = Standing(item, State.NONE, None, None, "nothing offers it")
    if item.urls:
        best = Standing(item, State.UPSTREAM, None, None, "upstream with retries is no authority")
    for offer in offers:
        seen = evidence.get(offer.key, {}).get(item.checksum.sri)
        found = _by(item, offer, seen, now, days)
        if found.state.rank > best.state.rank or (best.offer is None and found.state.rank == best.state.rank):
            best = found
    return best


def _by(item: Input, offer: Offer, seen: datetime | None, now: datetime, days: float) -> Standing:
    held = State.UPSTREAM if item.urls else State.NONE
    if seen is None:
        return Standing(item, held, offer, None, f"{offer.key} was never seen to hold it")
    age = now - seen
    if age > timedelta(days=days) or age < timedelta(minutes=-5):
        why = f"{offer.key} was seen to hold it {age.days} days ago; {days:g} are allowed"
        return Standing(item, held, offer, seen, why)
    if not offer.durable:
        why = f"the site does not call {offer.key} durable"
        return Standing(item, State.EPHEMERAL, offer, seen, why)
    return Standing(item, DURABLE[offer.kind], offer, seen, "")


class Gate(Struct, frozen=True):
    """Every input's standing, and whether all of them together let the gate open."""

    standings: tuple[Standing, ...]
    days: float

    @property
    def state(self) -> State:
        """The weakest state of all."""
        weakest = min(self.standings, key=lambda each: each.state.rank, default=None)
        return State.NONE if weakest is None else weakest.state

    @property
    def open(self) -> bool:
        """Whether a durable authority was verified for every input. A contract without inputs needs none."""
        return all(each.state.durable for each in self.standings)

    @property
    def answer(self) -> str:
        """The field's word for it."""
        return "live-durable-authority" if self.open else "no-live-durable-authority"

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "gate": "open" if self.open else "shut",
            "answer": self.answer,
            "state": self.state.value,
            "verified_within_days": self.days,
            "inputs": [each.as_json() for each in self.standings],
        }


def gate_of(
    inputs: Sequence[Input],
    offers: Sequence[Offer],
    evidence: Evidence,
    days: float,
    now: datetime | None = None,
) -> Gate:
    """The gate for `inputs`."""
    moment = now or datetime.now(UTC)
    return Gate(tuple(standing_of(each, offers, evidence, moment, days) for each in inputs), days)
