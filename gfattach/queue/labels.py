"""Labels: which are near, which are fossils, which are GitHub's own, which name a project. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

#: Labels that were served once, and what serves their capability now (as GloriousFlywheel's lint has it).
FOSSILS = {
    "dollhouse-farm-nix": "tinyland-nix",
    "chapel-nix": "tinyland-nix",
    "jesssullivan-nix-heavy": "tinyland-nix-heavy",
    "massageithaca-dind": "tinyland-dind",
}

#: What a label that names a capability ends with.
CAPABILITIES = ("nix-heavy", "nix-kvm", "nix-gpu", "nix", "docker", "dind")

#: GitHub's own runners, by the beginning of their labels.
_HOSTED = re.compile(r"(ubuntu|windows|macos)-(latest|slim|\d[\w.-]*)", re.IGNORECASE)

#: Hosted runners that are not GitHub's.
_THIRD_PARTY = re.compile(
    r"(blacksmith|buildjet|depot|warp|namespace-profile|nscloud|runs-on|ubicloud)\b.*", re.I
)

#: What GitHub adds to every runner of one's own.
_SELF_HOSTED = ("self-hosted", "linux", "x64", "arm64", "macos", "windows")


class Kind(StrEnum):
    """What a label is."""

    SERVED = "served"
    ELSEWHERE = "served for another owner"
    FOSSIL = "fossil"
    HOSTED = "hosted by GitHub"
    THIRD_PARTY = "hosted by a third party"
    SELF_HOSTED = "every self-hosted runner's"
    PROJECT = "names a project"
    UNSERVED = "not served"
    EXPRESSION = "an expression"


class Judged(Struct, frozen=True):
    """A label, what it is, and what to write in its place ("" for nothing)."""

    label: str
    kind: Kind
    instead: str = ""


def judge(label: str, repository: str, served: Iterable[str], elsewhere: Iterable[str]) -> Judged:
    """What `label` is in a workflow of `repository`, for which `served` are served."""
    wanted, here = label.lower(), {each.lower(): each for each in served}
    if "${{" in label:
        return Judged(label, Kind.EXPRESSION)
    if wanted in FOSSILS and wanted not in here:
        return Judged(label, Kind.FOSSIL, FOSSILS[wanted])
    if wanted in here:
        if _names_project(wanted, repository):
            return Judged(label, Kind.PROJECT, capability(wanted))
        return Judged(label, Kind.SERVED)
    if _HOSTED.fullmatch(label):
        return Judged(label, Kind.HOSTED)
    if _THIRD_PARTY.fullmatch(label):
        return Judged(label, Kind.THIRD_PARTY)
    if wanted in _SELF_HOSTED:
        return Judged(label, Kind.SELF_HOSTED)
    if wanted in {each.lower() for each in elsewhere}:
        return Judged(label, Kind.ELSEWHERE)
    return Judged(label, Kind.UNSERVED, next(iter(near(label, here.values())), ""))


def _names_project(label: str, repository: str) -> bool:
    """Whether the repository's own name stands in the label, which is to name a capability."""
    name = repository.partition("/")[2].lower()
    return len(name) > 2 and name not in CAPABILITIES and name in label


def capability(label: str) -> str:
    """What a label is able to do, by its end; "" where it ends with none that is known."""
    return next((each for each in CAPABILITIES if label == each or label.endswith(f"-{each}")), "")


def near(label: str, served: Iterable[str]) -> list[str]:
    """The labels that may be meant: what a fossil became, then by edit distance, at most three."""
    import difflib

    known = list(dict.fromkeys(served))
    made = [FOSSILS[label.lower()]] if FOSSILS.get(label.lower()) in known else []
    made += [each for each in difflib.get_close_matches(label, known, 3, 0.6) if each not in made]
    return made[:3]
