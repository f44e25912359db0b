"""A fault: where it is seeded, how, and the code that the doctor has to put first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.bed import Bed

Seed = Callable[[Bed], object]


@dataclass(frozen=True)
class Fault:
    """`expected` are the codes of the cause, several where what this machine has decides between them.

    `also` is the code of a pair's other fault: it has to be shown too, as a cause of its own or below one.
    """

    set_up: str
    name: str
    seed: Seed
    expected: tuple[str, ...]
    also: str | None = None

    @property
    def title(self) -> str:
        """What the fault is called among all of them."""
        return f"{self.set_up}: {self.name}"


@dataclass(frozen=True)
class Outcome:
    """What the doctor made of a fault: the causes in its order, without what the healthy machine has."""

    fault: Fault
    causes: tuple[str, ...]
    shown: frozenset[str]
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the seeded cause came first, and a pair's other fault is shown."""
        also = self.fault.also
        return (
            self.causes[:1] != ()
            and self.causes[0] in self.fault.expected
            and (also is None or also in self.shown)
        )


def faults(set_up: str, table: dict[str, tuple[Seed, str]]) -> tuple[Fault, ...]:
    """The faults of a table: by name, how each is seeded and the codes of its cause, with | between."""
    return tuple(Fault(set_up, name, seed, tuple(code.split("|"))) for name, (seed, code) in table.items())
