"""Which probes a diagnosis asks: by the names of stages, of probes, or of codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from gfattach.core.finding import Probe, Stage

#: Steps of a diagnosis that are no stages.
STEPS = (
    *("state", "workspace", "agent", "trial", "fragments", "site", "discover"),
    *("rbe", "inputs", "queue"),
)


class Selection(Struct, frozen=True):
    """`only` and `skip` are words; none of `only` means everything. What a probe needs is asked with it."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a step of that name is asked for."""
        return (not self.only or any(_fits(word, name) for word in self.only)) and not any(
            _fits(word, name) for word in self.skip
        )

    def wants_stage(self, stage: Stage[Any]) -> bool:
        """Whether any probe of it is."""
        return any(True for _ in self.probes(stage))

    def probes(self, stage: Stage[Any]) -> Iterator[Probe[Any]]:
        """The probes of the stage that are asked, with those that they need."""
        chosen = {probe.name for probe in stage.probes if self._chosen(stage, probe)}
        by_name = {probe.name: probe for probe in stage.probes}
        open_needs = list(chosen)
        while open_needs:
            for need in by_name[open_needs.pop()].needs:
                if need in by_name and need not in chosen:
                    chosen.add(need)
                    open_needs.append(need)
        return (probe for probe in stage.probes if probe.name in chosen)

    def _chosen(self, stage: Stage[Any], probe: Probe[Any]) -> bool:
        names = (stage.name, probe.name, *probe.codes)
        wanted = not self.only or any(_fits(word, name) for word in self.only for name in names)
        return wanted and not any(_fits(word, name) for word in self.skip for name in names[:2])


class Question(Struct, frozen=True):
    """What a probe of a stage asks, and every code that it can answer with, each with its meaning."""

    stage: str
    probe: str
    question: str
    codes: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """For programs (`questions-v1.json`)."""
        return {
            "stage": self.stage,
            "probe": self.probe,
            "question": self.question,
            "codes": dict(self.codes),
        }


def questions() -> Iterator[Question]:
    """Every question, in the order in which they are asked. Imports all stages."""
    from gfattach.probes.codes import all_stages

    for stage in all_stages():
        for probe in stage.probes:
            yield Question(stage.name, probe.name, probe.question, probe.codes)


def known(word: str) -> bool:
    """Whether `word` names a step, a stage, a probe or a code."""
    from gfattach.core.probe_runner import ENGINE_CODES

    return word in STEPS or any(
        _fits(word, name)
        for found in questions()
        for name in (found.stage, found.probe, *found.codes, *ENGINE_CODES)
    )


def _fits(word: str, name: str) -> bool:
    """Whether `word` is the name, or a part of it up to a dot."""
    return name == word or name.startswith(f"{word}.")
