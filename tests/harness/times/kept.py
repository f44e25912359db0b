"""The seconds of each file, and the order that follows: what takes longest begins first.

A worker takes whole files. Where the longest come last, one worker ends alone with one of them; where the
files of a cluster come together, each worker's cluster ends with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

#: The seconds of each file in a run of all, by its path below ROOT; made by `dev.py test --times`.
KEPT = ROOT / "tests/times.json"

#: The directories whose files share a cluster, in the order in which they run.
_BEDS = ("tests/cluster/arc/", "tests/cluster/")

#: Seconds of a file that is not in it: one with real programs, and any other.
_UNKNOWN, _UNKNOWN_FAST = 20.0, 1.0


@cache
def times() -> Mapping[str, float]:
    """What is kept; nothing where there is no such file."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def keep(found: Mapping[str, float]) -> None:
    """Write `found`, in place of what was kept of the same files; files that are gone are left out."""
    merged = {file: seconds for file, seconds in {**times(), **found}.items() if (ROOT / file).exists()}
    text = json.dumps({file: round(merged[file], 1) for file in sorted(merged)}, indent=1)
    KEPT.write_text(text + "\n", encoding="utf-8")


def file_of(nodeid: str) -> str:
    """The file of a test, by its id."""
    return nodeid.partition("::")[0]


def place(file: str) -> tuple[int, float, str]:
    """What to sort a file by: its bed, the longest first, its name."""
    bed = next((number for number, prefix in enumerate(_BEDS) if file.startswith(prefix)), len(_BEDS))
    unknown = _UNKNOWN_FAST if file.startswith(("tests/unit/", "tests/conformance/")) else _UNKNOWN
    return bed, -times().get(file, unknown), file


def in_order(items: list[pytest.Item]) -> None:
    """Sort the tests by the places of their files; the tests of one file stay as they are."""
    items.sort(key=lambda item: place(file_of(item.nodeid)))
