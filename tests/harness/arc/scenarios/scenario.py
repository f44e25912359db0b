"""A scenario: a cluster and a question, and what most of them begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gfattach.queue.model.question import Question
from tests.harness.arc.objects import Fleet, Set

REPOSITORY = "tinyland-inc/site"


LABEL = "tinyland-nix"


@dataclass
class Scenario:
    """A cluster and a question. `before` is an earlier look; `recorded` says why no real server makes it."""

    fleet: Fleet
    question: Question = field(default_factory=lambda: Question(LABEL))
    before: Fleet | None = None
    recorded: str = ""
    set: Set | None = None


Make = Callable[[], Scenario]


def fleet_of(**options: object) -> tuple[Fleet, Set]:
    fleet = Fleet(version=str(options.pop("chart", "0.13.1")), watched=str(options.pop("watched", "")))
    fleet.node()
    return fleet, fleet.scale_set(**options)  # type: ignore[arg-type]


def busy(fleet: Fleet, found: Set, *repositories: str) -> None:
    for number, repository in enumerate(repositories):
        fleet.runner(found, repository=repository, run=100 + number, age=600 + 60 * number)


def pending(**options: object) -> tuple[Fleet, Set, dict]:
    """A runner that waits, with its pod."""
    fleet, found = fleet_of(**options)
    fleet.runner(found, phase="Pending", age=300)
    return fleet, found, found.pods[-1]
