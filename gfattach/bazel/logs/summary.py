"""Reads the line in which Bazel counts processes: `20 processes: 9 internal, 11 remote.`

Only the bare word `remote` is remote execution. The parts add up to the number in front, but for the hits of
Bazel's own action cache in the output base, which the line shows and does not count (seen in real builds of
5578 and 728 processes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

#: How Bazel names in its summary what an executor ran, what a cache served, and what it did within itself.
REMOTE = "remote"
REMOTE_HIT = "remote cache hit"
DISK_HIT = "disk cache hit"
ACTION_CACHE_HIT = "action cache hit"
INTERNAL = "internal"

_LINE = re.compile(
    r"^(?:INFO: )?(?P<total>\d+) process(?:es)?(?:: (?P<parts>[^.\n]*))?\.?[ \t\r]*$", re.MULTILINE
)
_PART = re.compile(r"^(?P<count>\d+) (?P<runner>\S.*)$")
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class ProcessSummary(Struct, frozen=True):
    """One such line: `parts` are counts by the words of the line, `text` is the line without its prefix."""

    total: int
    parts: Mapping[str, int]
    text: str

    @property
    def remote(self) -> int:
        """Processes that an executor ran."""
        return self.parts.get(REMOTE, 0)

    @property
    def remote_hits(self) -> int:
        """Results that a remote cache served: not executed."""
        return self.parts.get(REMOTE_HIT, 0)

    @property
    def action_cache_hits(self) -> int:
        """Actions that the output base still knew: it was not a fresh one."""
        return self.parts.get(ACTION_CACHE_HIT, 0)

    @property
    def local(self) -> int:
        """Processes that ran on this machine, whatever the strategy was called."""
        known = (REMOTE, REMOTE_HIT, DISK_HIT, ACTION_CACHE_HIT, INTERNAL)
        return sum(count for runner, count in self.parts.items() if runner not in known)

    @property
    def adds_up(self) -> bool:
        """Whether the parts make the number in front."""
        return sum(self.parts.values()) - self.action_cache_hits == self.total


def read_summary(text: str) -> ProcessSummary | None:
    """The last summary in what Bazel printed; None without one."""
    found = list(_LINE.finditer(_TERMINAL_CODES.sub("", text)))
    if not found:
        return None
    match = found[-1]
    parts = {}
    for part in (match["parts"] or "").split(", "):
        if counted := _PART.match(part.strip()):
            parts[counted["runner"]] = int(counted["count"])
    return ProcessSummary(int(match["total"]), parts, match[0].strip().removeprefix("INFO: "))
