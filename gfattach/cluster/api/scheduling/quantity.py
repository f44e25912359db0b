"""Quantities of the Kubernetes API (`100m`, `8Gi`, `1e3`), in thousandths, and pods' sums of them. Pure.

Source of the suffixes: apimachinery, pkg/api/resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil

_QUANTITY = re.compile(
    r"([+-]?(?:\d{1,24}(?:\.\d{0,12})?|\.\d{1,12}))(?:([eE][+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)"
)

_SUFFIXES: Mapping[str, Fraction] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)},
}

#: Amounts by the name of the resource, in thousandths: of a core, of a byte, of a thing.
Amounts = Mapping[str, int]


@lru_cache(maxsize=4096)
def parse(said: str) -> int | None:
    """The quantity in thousandths, rounded up as Kubernetes does; None for what is none."""
    found = _QUANTITY.fullmatch(said.strip())
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    factor = Fraction(10) ** int(exponent[1:]) if exponent else _SUFFIXES[suffix or ""]
    return ceil(Fraction(number) * factor * 1000)


def amounts(found: Mapping[str, object]) -> dict[str, int]:
    """Quantities by name; what is no quantity is left out."""
    made = ((str(name), parse(str(value))) for name, value in found.items())
    return {name: value for name, value in made if value is not None}


def total(parts: Iterable[Amounts]) -> dict[str, int]:
    """The sums by name."""
    made: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            made[name] = made.get(name, 0) + value
    return made


def largest(parts: Iterable[Amounts]) -> dict[str, int]:
    """The largest by name."""
    made: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            made[name] = max(made.get(name, 0), value)
    return made


def shown(name: str, value: int) -> str:
    """An amount for people: cores for cpu, binary units for bytes, a number for the rest."""
    resource = name.rpartition("requests.")[2].rpartition("limits.")[2]
    if resource in ("memory", "ephemeral-storage", "storage") or resource.endswith(".storage"):
        return _binary(value)
    whole, part = divmod(abs(value), 1000)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}" if part == 0 else f"{sign}{abs(value)}m"


def _binary(value: int) -> str:
    sign, rest = ("-", -value) if value < 0 else ("", value)
    number, units = rest / 1000, ["", "Ki", "Mi", "Gi", "Ti", "Pi"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{sign}{number:.1f}".removesuffix(".0") + units[0]
