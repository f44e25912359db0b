"""What a benchmark hands to the page: figures with their rounds, growth with its points, the stages of runs.

A benchmark prints for whoever runs it and, where `BENCHMARK_FIGURES` names a file, writes the same there as
JSON; `python -m benchmarks` makes docs/benchmarks.md of it.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "BENCHMARK_FIGURES"


@dataclass(frozen=True)
class Figure:
    """One thing measured, round by round, in `unit`; with `beside`, what the reference took in the same
    rounds.

    Its value is the median of the ratios, round by round, or without a reference the median itself. `limit`
    is the most that is good; the least where `more` is the better.
    """

    name: str
    ours: Sequence[float]
    unit: str
    beside: Sequence[float] = ()
    limit: float | None = None
    more: bool = False

    @property
    def values(self) -> list[float]:
        """The ratio of each round, or the figure of each."""
        if not self.beside:
            return list(self.ours)
        return [one / other for one, other in zip(self.ours, self.beside, strict=True)]

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def kept(self) -> bool | None:
        """Whether the limit holds; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.more else self.value <= self.limit

    def __str__(self) -> str:
        ratio = f"{self.value:.2f}x" if self.beside else f"{self.value:.4g} {self.unit}"
        both = f"{statistics.median(self.ours):.3g} {self.unit}"
        beside = f" beside {statistics.median(self.beside):.3g}" if self.beside else ""
        limit = "" if self.limit is None else f"  limit {self.limit:g}: {'kept' if self.kept else 'BROKEN'}"
        return f"{self.name:<58} {ratio:>9}  ({both}{beside}){limit}"


@dataclass(frozen=True)
class Growth:
    """What something costs by its number: points of (number, cost), and the power that the cost grows with.

    The power is that of the upper part, where what is there at every size weighs least: a line through the
    logarithms of the costs beyond that of the smallest size.
    """

    name: str
    unit: str
    points: Sequence[tuple[float, float]]
    limit: float = 1.0

    #: What measuring on a busy machine adds to a power of 1.
    TOLERANCE = 0.2

    @property
    def power(self) -> float:
        """The slope of the line, 0 where nothing grows beyond what measuring makes of it."""
        (least, base), *rest = sorted(self.points)
        grown = [
            (math.log(number - least), math.log(cost - base)) for number, cost in rest if cost > base * 1.1
        ]
        if len(grown) < 2:
            return 0.0
        slope, _ = statistics.linear_regression(*zip(*grown, strict=True))
        return max(0.0, slope)

    @property
    def kept(self) -> bool:
        """Whether it grows no faster than it may."""
        return self.power <= self.limit + self.TOLERANCE

    def __str__(self) -> str:
        costs = ", ".join(f"{number:g}: {cost:.4g}" for number, cost in self.points)
        verdict = "kept" if self.kept else "BROKEN"
        return f"{self.name:<40} power {self.power:.2f}  {verdict}  ({self.unit}; {costs})"


@dataclass(frozen=True)
class Timeline:
    """The stages of one run: name, when it began, seconds; `beside` are stretches that went on beside
    others.
    """

    name: str
    stages: Sequence[tuple[str, float, float]]
    beside: Sequence[tuple[str, float, float]] = ()
    first_hit: float | None = None


@dataclass
class Results:
    """What one benchmark found."""

    figures: list[Figure] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every limit holds."""
        return all(each.kept is not False for each in (*self.figures, *self.growth))

    def show(self) -> int:
        """Print everything, hand it to the page, and give the exit code: 1 where a limit is broken."""
        for each in (*self.figures, *self.growth, *self.notes):
            print(each)
        publish(self)
        return 0 if self.kept else 1

    def as_json(self) -> dict[str, Any]:
        """As the record of the page has it."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Results:
        """The reverse."""
        return Results(
            [Figure(**each) for each in document["figures"]],
            [Growth(**each) for each in document["growth"]],
            [Timeline(**each) for each in document["timelines"]],
            list(document["notes"]),
        )


def publish(results: Results) -> None:
    """Write the results where `python -m benchmarks` reads them."""
    if name := os.environ.get(VARIABLE):
        Path(name).write_text(json.dumps(results.as_json()), encoding="utf-8")
