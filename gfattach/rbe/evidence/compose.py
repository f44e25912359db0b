"""From a build's files to the parts of the document that follow from them."""

from __future__ import annotations

from typing import Any

from gfattach.proof.execution.facts import BuildFacts


def counts(build: BuildFacts) -> dict[str, int]:
    """The counts of a build, as the document has them."""
    every, target, calls = build.spawns.all, build.spawns.target, build.calls
    by_calls = not build.spawns.labelled and calls is not None
    return {
        "executed": every.executed,
        "forced": every.forced,
        "remote_hits": every.remote_hits,
        "local": every.local,
        "failed": every.failed + every.unfinished,
        "target_executed": len(calls.target) if by_calls and calls is not None else target.executed,
        "target_forced": len(calls.target) if by_calls and calls is not None else target.forced,
    }


def mnemonics(build: BuildFacts) -> list[dict[str, Any]]:
    """What was executed by mnemonic, and what programs of the worker's own it ran."""
    spawns = build.spawns
    return [
        {
            "name": name,
            "executed": count,
            "forced": spawns.forced_mnemonics[name],
            "programs": sorted(spawns.programs.get(name, ())),
            "declared": spawns.declared[name],
        }
        for name, count in sorted(spawns.mnemonics.items())
    ]
