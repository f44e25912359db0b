"""What an offline proof came to, and the findings that say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gfattach.core.errors import ExitCode
from gfattach.core.finding import Finding, fail, ok, skip, warn


class Hole(Struct, frozen=True):
    """An input that the build could not do without, or that the contract and the build differ about."""

    name: str
    what: str


class Control(Struct, frozen=True):
    """The run without `taken`: whether it failed, and whether the input is named in what came of it."""

    taken: str
    failed: bool
    named: bool
    said: str


class Proved(Struct, frozen=True):
    """What a proof came to."""

    targets: tuple[str, ...]
    platform: str
    isolation: str
    used: int
    declared: int
    built: bool
    fetches: tuple[str, ...]
    foreign: tuple[str, ...]
    holes: tuple[Hole, ...]
    control: Control | None
    said: str

    @property
    def good(self) -> bool:
        """Whether it proves what it should."""
        control = self.control is None or (self.control.failed and self.control.named)
        return self.built and control and not (self.fetches or self.foreign or self.holes)

    @property
    def exit_code(self) -> ExitCode:
        """0, or 4: it ran, and did not prove."""
        return ExitCode.GOOD if self.good else ExitCode.UNPROVED

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document, and the evidence."""
        control = self.control
        return {
            "proved": self.good,
            "targets": list(self.targets),
            "platform": self.platform,
            "isolation": self.isolation,
            "built": self.built,
            "inputs_used": self.used,
            "inputs_declared": self.declared,
            "fetches": list(self.fetches),
            "foreign": list(self.foreign),
            "holes": [{"name": each.name, "what": each.what} for each in self.holes],
            "control": None if control is None else asdict(control),
            "said": self.said,
        }


def findings(proof: Proved) -> Iterator[tuple[str, Finding]]:
    """A finding for each hole, fetch and foreign source, for how the network was kept away, and the whole."""
    if proof.isolation == "namespace":
        yield "proof.network", ok("inputs.prove.namespace", "no network: a namespace of its own")
    else:
        yield (
            "proof.network",
            warn(
                "inputs.prove.proxy",
                "no namespace can be had here: a proxy that refuses stands in for it",
                "a rule whose downloader does not heed proxies could still have reached the network",
            ),
        )
    for each in proof.holes:
        yield (
            f"proof.{each.name}",
            fail("inputs.prove.hole", f"{each.name}: {each.what}", "the build depends on it"),
        )
    for url in proof.fetches:
        yield (
            f"proof.fetch {url}",
            fail(
                "inputs.prove.fetch",
                f"Bazel went to the network for {url}",
                "a fetch event is in its event file",
            ),
        )
    for option in proof.foreign:
        yield (
            f"proof.option {option}",
            fail(
                "inputs.prove.foreign",
                f"the build also takes inputs by {option}",
                "what comes from there is in no contract",
                "take it out of the rc file for the proof",
            ),
        )
    if proof.built and proof.good:
        seen = f"built from {proof.used} inputs, which are those that are declared, without a fetch"
        yield "proof", ok("inputs.proved", seen)
    elif not proof.built:
        yield "proof", fail("inputs.prove.build", f"the build failed: {proof.said}", "it lacks something")


def control_findings(control: Control | None) -> Iterator[tuple[str, Finding]]:
    """What the run without one input showed."""
    if control is None:
        yield "control", skip("inputs.prove.no-control", "no input can be taken away: a distdir covers none")
    elif control.failed and control.named:
        yield (
            "control",
            ok("inputs.prove.control", f"without {control.taken} the build fails, and asks for it"),
        )
    else:
        what = "succeeds" if not control.failed else "fails for another reason"
        yield (
            "control",
            fail(
                "inputs.prove.control-passed",
                f"without {control.taken} the build {what}",
                "so the proof shows nothing: the input came from elsewhere, or is not needed",
                f"Bazel said: {control.said}",
            ),
        )
