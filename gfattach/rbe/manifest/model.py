"""The manifest as facts. Labels are texts, compared exactly: not all of them are Bazel's."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from msgspec import Struct


class Standing(StrEnum):
    """What the manifest says of a target. The values are its own words, but for the last."""

    PROVED = "proved"
    CANDIDATE = "candidate"
    BLOCKED = "blocked"
    UNLISTED = "not listed"


#: The manifest's lists, by the standing of what they hold, in the order in which they are asked.
SECTIONS = {
    Standing.BLOCKED: "blocked_target_classes",
    Standing.PROVED: "proved_target_classes",
    Standing.CANDIDATE: "candidate_target_classes",
}


class TargetClass(Struct, frozen=True):
    """One class: its name, its labels, and what the manifest demands of a proof and says of its reach.

    `line` is where it stands in the file. `blockers` are a blocked class's reasons.
    """

    name: str
    standing: Standing
    labels: tuple[str, ...]
    line: int
    allowed_modes: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    proof_required: tuple[str, ...] = ()
    boundary: str = ""
    blockers: tuple[str, ...] = ()


class Manifest(Struct, frozen=True):
    """A manifest without faults. `sha256` is of the file's bytes, `shown` its path for a sentence."""

    path: Path
    sha256: str
    platform: str
    updated: str
    posture: str
    classes: tuple[TargetClass, ...]

    @property
    def shown(self) -> str:
        """The file, as it may be named in a sentence."""
        return self.path.name

    def labels(self) -> dict[str, TargetClass]:
        """Every label with its class, the first section of `SECTIONS` first."""
        found: dict[str, TargetClass] = {}
        for standing in SECTIONS:
            for each in self.classes:
                if each.standing is standing:
                    for label in each.labels:
                        found.setdefault(label, each)
        return found

    def named(self, name: str) -> TargetClass | None:
        """The class of that name."""
        return next((each for each in self.classes if each.name == name), None)
