"""Was the target executed remotely in this build, and by nothing else?"""

from __future__ import annotations

from collections.abc import Iterator

from gfattach.bazel.logs.summary import DISK_HIT
from gfattach.core.finding import Finding, fail
from gfattach.proof.execution.facts import Asked, BuildFacts
from gfattach.proof.execution.tally import Tally


def executed(asked: Asked, build: BuildFacts) -> Iterator[Finding]:
    """What speaks against an execution of the target, the most telling first."""
    if any(fault.code.startswith("rbe.log.") for fault in build.faults):
        return  # an unread log says nothing of what was executed
    summary, target = build.summary, build.spawns.target
    if build.events.exit_code not in (0, None):
        said = f"the build of {asked.label} ended with {build.events.exit_code}"
        yield fail("rbe.proof.build-failed", said, "what failed was not built, wherever it ran")
    if summary is None:
        yield fail(
            "rbe.proof.no-summary", "Bazel printed no count of processes", "the build did not get that far"
        )
    elif not build.spawns.all.spawns and not summary.remote and not summary.remote_hits and not summary.local:
        said = f"only Bazel's own work was done: {summary.text}"
        yield fail(
            "rbe.proof.internal-only",
            said,
            "no action was executed anywhere: keep it as evidence of a blocker",
        )
        return
    yield from _target(asked, build, target)
    yield from _everywhere(build)


def _target(asked: Asked, build: BuildFacts, target: Tally) -> Iterator[Finding]:
    """What became of the target's own spawns, as far as the log names targets."""
    calls = build.calls
    of_calls = len(calls.target) if calls is not None else 0
    if not build.spawns.labelled:
        if not of_calls and not (calls is not None and calls.target_cached):
            yield _no_spawn(asked)
        return
    if not target.spawns:
        if not of_calls:
            yield _no_spawn(asked)
        return
    if target.claimed:
        said = f"{target.claimed} spawns of {asked.label} say both remote and cache hit"
        yield fail("rbe.proof.hit-claimed", said, "a result out of a cache was executed at another time")
    if target.remote_hits:
        said = f"{target.remote_hits} of {target.spawns} spawns of {asked.label} came out of the remote cache"
        yield fail("rbe.proof.cache-hit", said, "a remote cache hit is no remote execution")
    if target.local:
        said = f"{target.local} of {target.spawns} spawns of {asked.label} ran on the machine that built"
        yield fail("rbe.proof.local", said, "that is what remote execution was to replace")
    if target.failed:
        said = f"{target.failed} of {target.spawns} spawns of {asked.label} failed on the executor"
        yield fail("rbe.proof.spawn-failed", said, "an execution counts when it ends well")
    if target.unfinished:
        said = f"{target.unfinished} of {target.spawns} spawns of {asked.label} never ran"
        yield fail("rbe.proof.not-run", said, "the executor refused it, or was lost")


def _everywhere(build: BuildFacts) -> Iterator[Finding]:
    """What no spawn of a proof may have been, the target's or another's."""
    every, summary = build.spawns.all, build.summary
    disk = every.disk_hits or (0 if summary is None else summary.parts.get(DISK_HIT, 0))
    if disk:
        yield fail("rbe.proof.disk-cache", f"{disk} results came out of a disk cache", "a proof has none")
    if summary is not None and summary.action_cache_hits:
        said = f"{summary.action_cache_hits} actions were known to the output base already: {summary.text}"
        yield fail("rbe.proof.output-base", said, "the output base was not a fresh one")
    target_local = build.spawns.target.local
    if every.local > target_local:
        said = f"{every.local - target_local} spawns besides the target's ran on the machine that built"
        yield fail("rbe.proof.fallback", said, "a proof has no local fallback")


def _no_spawn(asked: Asked) -> Finding:
    said = f"no action of {asked.label} is in the logs"
    return fail("rbe.proof.no-spawn", said, "what was executed belongs to other targets")
