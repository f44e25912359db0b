"""The negative controls: builds that must not count as executed, or a proof would show nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gfattach.core.engine import Run
from gfattach.core.finding import Finding, fail, ok
from gfattach.net.refusing import refusing_port
from gfattach.rbe.evidence.document import CACHED, UNREACHABLE
from gfattach.rbe.evidence.rules.controls import held
from gfattach.rbe.prove.build import Builder, Built

#: Behind the nonce of the build without an executor: nobody can have stored what it asks for.
_UNSEEN = "-control"

_TITLES = {
    CACHED: "control: the same build, with its cache accepted",
    UNREACHABLE: "control: a build without an executor",
}


def make_controls(builder: Builder, nonce: str, run: Run) -> list[tuple[dict[str, Any], Built]]:
    """Make both controls; what the evidence has of each, and its build. Raises BazelError, StorageError."""
    made = []
    for name in (CACHED, UNREACHABLE):
        built = _control(name, builder, nonce, run)
        facts = built.facts
        made.append(
            (
                {
                    "name": name,
                    "exit_code": built.exit_code,
                    "process_summary": None if facts.summary is None else facts.summary.text,
                    "executed": facts.spawns.all.executed,
                    "remote_hits": facts.spawns.all.remote_hits,
                    "held": held(name, built.exit_code, facts),
                },
                built,
            )
        )
    return made


def _control(name: str, builder: Builder, nonce: str, run: Run) -> Built:
    found: list[Built] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        if name == CACHED:
            built = builder.build(f"{name}-", nonce, progress, accept_cached=True)
        else:
            with refusing_port() as port:
                nowhere = f"grpc://127.0.0.1:{port}"
                built = builder.build(f"{name}-", nonce + _UNSEEN, progress, executor=nowhere)
        found.append(built)
        every = built.facts.spawns.all
        seen = (
            f"ended with {built.exit_code}: {every.executed} executed, {every.remote_hits} out of the cache"
        )
        if held(name, built.exit_code, built.facts):
            return {f"rbe.control.{name}": ok("rbe.control.held", seen)}
        why = "a check that cannot fail shows nothing"
        return {f"rbe.control.{name}": fail("rbe.control.broken", seen, why)}

    run.step(f"rbe-{'cached' if name == CACHED else 'alone'}", _TITLES[name], work)
    return found[0]
