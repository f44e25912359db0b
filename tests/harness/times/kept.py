"""The seconds of each file, and the order that follows: what takes longest begins first; and what is slow.

A worker takes whole files. Where the longest come last, one worker ends alone with one of them; where the
files of a cluster come together, each worker's cluster ends with them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

#: The seconds in a run of all, of each file by its path below ROOT ("files") and of each slow test of the
#: fast suites by its id ("slow"); made by `dev.py test --times`.
KEPT = ROOT / "tests/times.json"

#: The suites that need no Bazel, no Nix and no cluster.
FAST = ("tests/unit/", "tests/conformance/")

#: Seconds from which on a test of theirs is left to a run of all: it waits for a deadline, searches, or
#: starts programs.
SLOW_SECONDS = 0.1

#: The directories whose files share a cluster, in the order in which they run.
_BEDS = ("tests/cluster/arc/", "tests/cluster/")

#: Seconds of a file that is not in it: one with real programs, and any other.
_UNKNOWN, _UNKNOWN_FAST = 20.0, 1.0


@cache
def _kept() -> Mapping[str, Mapping[str, float]]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"files": {}, "slow": {}}


def times() -> Mapping[str, float]:
    """The seconds of each file that are kept; none where there is no such file."""
    return _kept()["files"]


def slow() -> Mapping[str, float]:
    """The seconds of each test of the fast suites that a fast run leaves out."""
    return _kept()["slow"]


def keep(found: Mapping[str, float]) -> None:
    """Write the seconds of the tests that were run, by their ids, in place of what was kept of the same files
    and tests; files that are gone are left out.
    """
    files: Counter[str] = Counter()
    for test, seconds in found.items():
        files[file_of(test)] += seconds  # type: ignore[assignment]
    of_files = {**times(), **files}
    of_tests = {test: seconds for test, seconds in slow().items() if test not in found}
    of_tests |= {test: s for test, s in found.items() if test.startswith(FAST) and s >= SLOW_SECONDS}
    document = {
        "files": {file: round(of_files[file], 1) for file in sorted(of_files) if (ROOT / file).exists()},
        "slow": {
            test: round(of_tests[test], 2) for test in sorted(of_tests) if (ROOT / file_of(test)).exists()
        },
    }
    KEPT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def quick(items: list[pytest.Item]) -> list[pytest.Item]:
    """Those of `items` that are not slow."""
    return [item for item in items if item.nodeid not in slow()]


def file_of(nodeid: str) -> str:
    """The file of a test, by its id."""
    return nodeid.partition("::")[0]


def place(file: str) -> tuple[int, float, str]:
    """What to sort a file by: its bed, the longest first, its name."""
    bed = next((number for number, prefix in enumerate(_BEDS) if file.startswith(prefix)), len(_BEDS))
    unknown = _UNKNOWN_FAST if file.startswith(FAST) else _UNKNOWN
    return bed, -times().get(file, unknown), file


def in_order(items: list[pytest.Item]) -> None:
    """Sort the tests by the places of their files; the tests of one file stay as they are."""
    items.sort(key=lambda item: place(file_of(item.nodeid)))
