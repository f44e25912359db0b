"""The versions that the tests were last brought in line with, and what is told where a suite has moved on.

A suite's own version is always taken: what differs fails, and the end of the run names the program whose
version is new, so that nobody looks for the fault elsewhere. Whoever has brought the tests in line writes
the version here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.harness.programs.catalogue import PROGRAMS
from tests.harness.programs.installed import installed

HELD: Mapping[str, str] = {
    "bazel-sid": "7.7.1",
    "nix-trixie": "2.26.3",
    "nix-sid": "2.34.8",
    "python-trixie": "3.13.5",
    "python-sid": "3.14.10",
    "justbuild-trixie": "1.5.1",
}


def moved_on() -> Iterator[str]:
    """A line for each program that is there in another version than the one that is held."""
    for program in PROGRAMS:
        there = installed(program.name)
        held = HELD[program.name]
        if there is not None and there.version != held:
            yield (
                f"{program.name}: Debian's {program.suite} has moved on from {held} to {there.version} "
                f"({there.package_version}); the tests ran on the new one, and what fails may be its doing"
            )
