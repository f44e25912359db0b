"""Do the sources agree: the execution log, the log of calls, the event file and Bazel's summary?"""

from __future__ import annotations

from collections.abc import Iterator

from gfattach.bazel.logs.summary import REMOTE
from gfattach.core.finding import Finding, fail
from gfattach.proof.execution.facts import Asked, BuildFacts

_ONE_IS_OF_ANOTHER = "one of them is of another build, or was changed"


def agreement(asked: Asked, build: BuildFacts) -> Iterator[Finding]:
    """Every disagreement between the sources of one build."""
    if build.faults:
        return
    yield from _summary(build)
    yield from _events(build)
    yield from _calls(asked, build)
    yield from _platform(asked, build)


def _summary(build: BuildFacts) -> Iterator[Finding]:
    summary, spawns = build.summary, build.spawns.all
    if summary is None:
        return
    if not summary.adds_up:
        said = f"the parts do not make the number in front: {summary.text}"
        yield fail("rbe.proof.summary-sum", said, "Bazel does not print that")
    # What Bazel calls remote and did not end well has a finding of its own.
    named = spawns.executed + spawns.claimed + spawns.failed + spawns.unfinished
    if build.events.exit_code == 0 and summary.remote not in (spawns.executed, named):
        said = f"Bazel counts {summary.remote} remote processes, and the execution log has {spawns.executed}"
        yield fail("rbe.proof.summary-disagrees", said, _ONE_IS_OF_ANOTHER)


def _events(build: BuildFacts) -> Iterator[Finding]:
    counted = build.events.spawns
    # Only the name tells: the kind is "Remote" for what a cache served, too.
    if counted is not None and build.summary is not None:
        remote = counted.runners.get(REMOTE, 0)
        if remote != build.summary.remote:
            said = f"the event file counts {remote} remote processes, and the summary {build.summary.remote}"
            yield fail("rbe.proof.events-disagree", said, _ONE_IS_OF_ANOTHER)


def _calls(asked: Asked, build: BuildFacts) -> Iterator[Finding]:
    calls, spawns = build.calls, build.spawns
    if calls is None:
        why = "only the server can say that it executed an action, and did not take it out of its cache"
        yield fail("rbe.proof.no-calls", "there is no log of remote calls", why)
        return
    if calls.target_cached:
        said = f"the server took {len(calls.target_cached)} actions of {asked.label} out of its cache"
        yield fail("rbe.proof.cached-result", said, "it says so itself: nothing was executed for them")
    if spawns.target.spawns and spawns.target.executed and not calls.target and not calls.target_cached:
        said = f"no call of Execute was made for {asked.label}"
        yield fail("rbe.proof.target-not-called", said, _ONE_IS_OF_ANOTHER)
    if spawns.actions:
        if unknown := spawns.actions - calls.executed - calls.cached:
            said = f"{len(unknown)} actions were executed by the execution log, and no call was made for them"
            yield fail("rbe.proof.calls-disagree", said, _ONE_IS_OF_ANOTHER)
    elif spawns.all.executed > len(calls.executed | calls.cached):
        said = f"{spawns.all.executed} actions were executed by the execution log, and by the calls "
        said += f"{len(calls.executed)}"
        yield fail("rbe.proof.calls-disagree", said, _ONE_IS_OF_ANOTHER)
    ids = calls.invocations - {""}
    if len(ids) > 1 or (ids and build.events.invocation and ids != {build.events.invocation}):
        said = "the log of calls and the event file are of two commands"
        yield fail("rbe.proof.invocation", said, _ONE_IS_OF_ANOTHER)
    if calls.early:
        said = f"{calls.early} actions were begun by a worker before the build began"
        yield fail("rbe.proof.worker-early", said, "they were executed for somebody else")


def _platform(asked: Asked, build: BuildFacts) -> Iterator[Finding]:
    others = sorted(name or "none" for name in build.spawns.properties if name != asked.platform)
    if build.spawns.all.executed and others:
        said = f"it was executed on the platform {', '.join(others)}, and the manifest's is {asked.platform}"
        yield fail("rbe.proof.platform", said, "a proof says something of one platform alone")
