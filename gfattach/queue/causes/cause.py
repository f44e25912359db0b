"""What a cause is: a rule over what was read, a sentence, and what to do next.

A rule gives a Hit where the cause holds, None where it is ruled out, and raises MayNot where that takes what
this user may not read. It never guesses: a cause of which the cluster shows only that it is possible says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach.cluster.api.arc.scale_set import ScaleSet
from gfattach.cluster.api.metadata import Reference
from gfattach.core.quote import word
from gfattach.queue.model.question import Question
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView, World


class Verdict(StrEnum):
    """The first line's words."""

    AT_CAPACITY = "at capacity"
    BLOCKED = "blocked"
    STARTING = "starting"
    IDLE = "idle: no demand seen here"
    NOT_SERVED = "not served"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """SEEN: the objects show it. POSSIBLE: they do not contradict it, and only GitHub can tell."""

    SEEN = "seen"
    POSSIBLE = "possible"


class Case(Struct, frozen=True):
    """What a rule looks at: the sets that serve `label` for whoever asks, and those that serve others.

    `before` is an earlier look of the same run, None for the first. `alone` says of each of several sets what
    keeps it from serving: a cause's title, "" for nothing, None where that is unknown.
    """

    world: World
    question: Question
    label: str
    sets: tuple[SetView, ...]
    others: tuple[ScaleSet, ...] = ()
    before: World | None = None
    alone: Mapping[str, tuple[str, Verdict | None] | None] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The API server's clock."""
        return self.world.now

    def older(self, since: datetime, seconds: float) -> bool:
        """Whether `since` is more than so many seconds ago."""
        return self.now - since > timedelta(seconds=seconds)


class Hit(Struct, frozen=True):
    """A cause that holds: `facts` fill its sentence and commands, `objects` show it since `since`.

    `strong` puts a cause that is merely possible before others; `verdict` takes the place of the cause's own.
    """

    facts: Mapping[str, object] = field(default_factory=dict)
    objects: tuple[Reference, ...] = ()
    since: datetime | None = None
    strong: bool = False
    verdict: Verdict | None = None


Rule = Callable[[Case], Hit | None]
SetRule = Callable[[SetView, Case], Hit | None]


class Cause(Struct, frozen=True):
    """One cause. `title` is its meaning; `sentence` and `next` have fields in braces that a Hit's facts fill;
    `clear` says what was seen where it is ruled out. `number` is its place in docs/queue.md."""

    number: int
    code: str
    title: str
    verdict: Verdict
    certainty: Certainty
    rule: Rule
    sentence: str
    next: tuple[str, ...]
    clear: str

    def said(self, facts: Mapping[str, object]) -> str:
        """The sentence."""
        return self.sentence.format_map(_Facts(facts))

    def commands(self, facts: Mapping[str, object]) -> tuple[str, ...]:
        """What to run or to do next; names are quoted as a shell needs it."""
        quoted = {key: word(value) if isinstance(value, str) else value for key, value in facts.items()}
        return tuple(each.format_map(_Facts(quoted)) for each in self.next)


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return key.upper()


def of_sets(rule: SetRule) -> Rule:
    """The rule of one set as one of all: the first that it holds for. What is unknown of one set is only told
    where it holds for no other."""

    def made(case: Case) -> Hit | None:
        refused: MayNot | None = None
        for view in case.sets:
            try:
                hit = rule(view, case)
            except MayNot as error:
                refused = refused or error
                continue
            if hit is not None:
                return replace(hit, facts={**about(view), **hit.facts})
        if refused is not None:
            raise refused
        return None

    return made


def about(view: SetView) -> dict[str, object]:
    """What sentences and commands of every cause may name of a scale set."""
    found = view.set
    return {
        "set": found.name,
        "namespace": found.namespace,
        "group": found.registered_group or found.group or "default",
        "url": found.url,
        "owner": str(found.registration),
        "maximum": "no maximum" if found.unlimited else found.maximum,
        "version": found.meta.version or "unknown",
    }


def span(age: timedelta) -> str:
    """A time for people: `40 s`, `12 min`, `3 h 5 min`, `2 d`."""
    seconds = max(0, int(age.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} d"


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 runner`, `3 runners`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
