"""Did the negative controls fail as they have to: with the cache accepted, and without an executor?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.finding import Finding, fail
from gfattach.proof.execution.facts import BuildFacts
from gfattach.rbe.evidence.document import CACHED, UNREACHABLE


def held(name: str, exit_code: int, build: BuildFacts) -> bool:
    """Whether the control `name` came out as a control has to."""
    return not list(_broken(name, exit_code, build))


def controls(document: Mapping[str, Any], builds: Mapping[str, BuildFacts]) -> Iterator[Finding]:
    """What the controls say against the proof; `builds` are their builds by name."""
    told = {each["name"]: each for each in document["controls"]}
    if len(told) != len(document["controls"]):
        said = "the evidence tells of one control twice"
        yield fail("rbe.proof.control-told", said, "nothing says which of them counts")
    for name in (CACHED, UNREACHABLE):
        if name not in told:
            said = f"the control {name} was not made"
            yield fail("rbe.proof.control-missing", said, "a check that cannot fail shows nothing")
            continue
        build, control = builds[name], told[name]
        if build.faults:
            yield from build.faults
            continue
        yield from _broken(name, control["exit_code"], build)
        summary = None if build.summary is None else build.summary.text
        counts = (control["executed"], control["remote_hits"], control["process_summary"])
        ended = build.events.exit_code
        if counts != (build.spawns.all.executed, build.spawns.all.remote_hits, summary) or (
            ended not in (None, control["exit_code"])
        ):
            said = f"the evidence tells other counts or another end of the control {name} than its files"
            yield fail(
                "rbe.proof.control-told", said, "the document does not follow from what it was made from"
            )
        elif not control["held"]:
            said = f"the evidence says that the control {name} did not hold"
            yield fail("rbe.proof.control-unheld", said, "the proof is void by its own word")


def _broken(name: str, exit_code: int, build: BuildFacts) -> Iterator[Finding]:
    every = build.spawns.all
    if name == CACHED:
        cacheable = every.forced - every.uncacheable
        if cacheable > 0:
            said = f"with its cache accepted the same build executed {cacheable} of its actions again"
            yield fail(
                "rbe.proof.control-executed", said, "an execution cannot be told from a cache hit here"
            )
        elif every.spawns and not every.carrying:
            said = "no action of the build with its cache accepted has the nonce of the proof"
            yield fail("rbe.proof.control-other", said, "it is another build, and shows nothing of this one")
        elif exit_code != 0 or not every.spawns:
            said = (
                f"the same build with its cache accepted ended with {exit_code}, after {every.spawns} spawns"
            )
            yield fail("rbe.proof.control-failed", said, "it shows nothing of what a cache hit looks like")
    elif exit_code == 0 or every.executed:
        said = f"without an executor the build ended with {exit_code}, and executed {every.executed} actions"
        yield fail(
            "rbe.proof.control-built", said, "the build does not need the executor that it is to prove"
        )
