"""The owner-boundary scoreboard: a row for each repository, every cell with its date and source. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from gfattach.cluster.api.arc.scale_set import ScaleSet
from gfattach.queue.labels import Judged, Kind, judge
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import World
from gfattach.queue.owners.receipts import COMMAND, Receipt
from gfattach.queue.owners.workflows import Asked, Unread

YES, NO, UNKNOWN = "yes", "no", "unknown"

#: Days after which evidence is stale unless a command says otherwise.
STALE_DAYS = 14.0


class Cell(Struct, frozen=True):
    """`value` is yes, no or unknown; `note` says more; `at` and `source` are of the evidence, None and ""
    where there is none. A stale yes is evidence of then, not of now."""

    value: str
    note: str
    at: datetime | None = None
    source: str = ""
    stale: bool = False


class LabelUse(Struct, frozen=True):
    """A label that a checkout asks for, and where."""

    judged: Judged
    files: tuple[str, ...]


class Row(Struct, frozen=True):
    """One repository. `registered`: a scale set of its owner is there; `admitted`: a runner group of it
    admits the repository. `labels` is None where no checkout was read; `unread` are workflow files that could
    not be."""

    repository: str
    registered: Cell
    admitted: Cell
    labels: tuple[LabelUse, ...] | None
    labels_source: str
    unread: tuple[Unread, ...]

    @property
    def ready(self) -> str:
        """yes where both gates are open on fresh evidence, no where one is shut, else unknown."""
        gates = (self.registered, self.admitted)
        if any(gate.value == NO for gate in gates):
            return NO
        return YES if all(gate.value == YES and not gate.stale for gate in gates) else UNKNOWN


class Scoreboard(Struct, frozen=True):
    """All rows, when it was made, and after how many days evidence is stale."""

    at: datetime
    server: str
    stale_days: float
    rows: tuple[Row, ...]


def row(
    world: World,
    repository: str,
    receipts: Sequence[Receipt],
    asked: Iterable[Asked | Unread] | None,
    source: str,
    stale_days: float,
) -> Row:
    """The row of one repository."""
    covering, elsewhere, registered = _registered(world, repository)
    served = [label for each in covering for label in each.served]
    labels: tuple[LabelUse, ...] | None = None
    unread: tuple[Unread, ...] = ()
    if asked is not None:
        found = [*asked]
        unread = tuple(each for each in found if isinstance(each, Unread))
        labels = _uses([each for each in found if isinstance(each, Asked)], repository, served, elsewhere)
    return Row(
        repository,
        registered,
        _admitted(world.now, repository, covering, receipts, stale_days),
        labels,
        source,
        unread,
    )


def _registered(world: World, repository: str) -> tuple[list[ScaleSet], list[str], Cell]:
    server = world.snapshot.server
    try:
        sets = world.scale_sets()
    except MayNot as error:
        known = list(world.snapshot.scale_sets.items)
        covering = [each for each in known if each.registration.covers(repository)]
        return covering, [], Cell(UNKNOWN, f"may not {error.right}", world.now, server)
    covering = [each for each in sets if each.registration.covers(repository)]
    perhaps = [each for each in sets if each.registration.covers(repository) is None]
    elsewhere = [label for each in sets if each not in covering for label in each.served]
    if covering:
        names = ", ".join(sorted({each.title for each in covering if each.registered > 0}))
        if names:
            return covering, elsewhere, Cell(YES, names, world.now, server)
        waiting = ", ".join(sorted(each.name for each in covering))
        return covering, elsewhere, Cell(NO, f"not registered at GitHub: {waiting}", world.now, server)
    if perhaps:
        owners = ", ".join(sorted({str(each.registration) for each in perhaps}))
        return perhaps, elsewhere, Cell(UNKNOWN, f"only of {owners}", world.now, server)
    return [], elsewhere, Cell(NO, f"no scale set of {repository.partition('/')[0]}", world.now, server)


def _admitted(
    now: datetime,
    repository: str,
    covering: Sequence[ScaleSet],
    receipts: Sequence[Receipt],
    stale_days: float,
) -> Cell:
    served = {label.lower() for each in covering for label in each.served}
    own = [
        each
        for each in receipts
        if each.repository == repository.lower() and served & {label.lower() for label in each.labels}
    ]
    latest = max(own, key=lambda each: each.at, default=None)
    if latest is None:
        return Cell(UNKNOWN, f"no receipt: {COMMAND.format(repository=repository)}")
    stale = now - latest.at > timedelta(days=stale_days)
    labels = ", ".join(latest.labels)
    return Cell(YES, f"group {latest.group} ran {labels}", latest.at, latest.source, stale)


def _uses(
    asked: Sequence[Asked], repository: str, served: Sequence[str], elsewhere: Sequence[str]
) -> tuple[LabelUse, ...]:
    made: dict[str, list[str]] = {}
    for each in asked:
        places = made.setdefault(each.label, [])
        if each.file not in places:
            places.append(each.file)
    return tuple(
        LabelUse(judge(label, repository, served, elsewhere), tuple(files))
        for label, files in sorted(made.items())
    )


#: What of a label's kind keeps a job from a shared runner.
FAULTY = (Kind.ELSEWHERE, Kind.FOSSIL, Kind.HOSTED, Kind.THIRD_PARTY, Kind.PROJECT, Kind.UNSERVED)
