"""One realisation of store paths in an empty store, as Nix told it: what became of each path, what voids it.

A path is a hit when the store holds it at the end and every substitution of it named exactly the
cache that was asked. The end of a substitution alone is no success (one that failed ends too), so
the store has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from gfattach.nix.activity import Activity, ActivityLog, ActivityType
from gfattach.nix.narinfo_cache import Entry
from gfattach.nix.uri import same_cache
from gfattach.proof.evidence import PhaseName

#: What Nix says of a path that no trusted key has signed.
_UNSIGNED = re.compile(r"not signed by|lacks a (valid )?signature|does not have a valid signature")


class Outcome(StrEnum):
    """What became of one path, or of all."""

    HIT = "hit"
    NOT_PUBLISHED = "not-published"
    NOT_SIGNED = "not-signed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class Realisation(Struct, frozen=True):
    """One realisation of `paths` in an empty store, as it was run.

    `uri` is the only substituter; `spare` is the path that an operator need not have published
    when there is another; `valid` are those of `paths` that the store holds at the end; `offered`
    is what the cache said of each, None where it said nothing. `lacking` are paths that these refer to
    and the cache has not got. `keys` are the names of the keys that were trusted. `exit_code` is negative
    for a signal, None for a deadline.
    """

    name: PhaseName
    uri: str
    paths: tuple[str, ...]
    spare: str | None
    keys: frozenset[str]
    started: float
    seconds: float
    exit_code: int | None
    log: ActivityLog
    valid: frozenset[str]
    offered: Mapping[str, Entry | None]
    lacking: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def complaints(self) -> list[str]:
        """What Nix complained of; that the result is no garbage collector's root is none."""
        return [text for text in self.log.complaints() if "--add-root" not in text]

    def substitutions(self, path: str | None = None) -> list[Activity]:
        """The substitutions, of one path or of all."""
        return [
            activity
            for activity in self.log.of(ActivityType.SUBSTITUTE)
            if path is None or activity.field(0) == path
        ]

    def outcome(self, path: str) -> Outcome:
        """What became of `path`."""
        substitutions = self.substitutions(path)
        entry = self.offered.get(path)
        if path in self.valid and substitutions and all(self._ours(a) for a in substitutions):
            return Outcome.HIT
        if entry is not None and not entry.present:
            return Outcome.NOT_PUBLISHED
        if any(path in text and _UNSIGNED.search(text) for text in self.complaints()):
            return Outcome.NOT_SIGNED
        # Nix fetches a path when it has all that it refers to, and says nothing of it when it has not.
        if self.lacking and entry is not None and path not in self.valid and not substitutions:
            return Outcome.INCOMPLETE
        return Outcome.FAILED

    def unsigned(self) -> str:
        """What Nix said of a path that no trusted key has signed; empty when it said so of none."""
        return next((text for text in self.complaints() if _UNSIGNED.search(text)), "")

    def _ours(self, activity: Activity) -> bool:
        return same_cache(activity.field(1), self.uri)

    def violations(self) -> tuple[str, ...]:
        """What voids this as a proof that the cache served it."""
        built = [f"Nix built {build.field(0)} here" for build in self.log.of(ActivityType.BUILD)]
        if self.log.dropped:
            built.append(
                f"{self.log.dropped} activities of Nix are beyond what is kept, and were not looked at"
            )
        strange = [activity for activity in self.substitutions() if not self._ours(activity)]
        unsigned = [
            f"Nix was told to take paths from {activity.field(1)} without a signature"
            for activity in strange
            if "trusted=" in activity.field(1)
        ]
        elsewhere = [
            f"{activity.field(0)} came from {activity.field(1) or 'an unnamed cache'}, not from {self.uri}"
            for activity in strange
            if "trusted=" not in activity.field(1)
        ]
        there = [
            f"{path} was in the store without a substitution"
            for path in self.paths
            if path in self.valid and not self.substitutions(path)
        ]
        return tuple(dict.fromkeys((*built, *unsigned, *elsewhere, *there)))
