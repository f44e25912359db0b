"""From what Bazel left of a build to a phase: counts from two sources, and what voids them. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach.bazel.logs.events import BuildEvents, Spawns
from gfattach.bazel.logs.grpc_log import CallLog
from gfattach.proof.bazel.options import Access
from gfattach.proof.evidence import Client, Phase, PhaseName

#: Seconds by which the wall clock may move against the monotonic one during a phase unremarked.
CLOCK_TOLERANCE = 0.05


def clock_offset() -> float:
    """The wall clock minus `time.monotonic()`, in seconds."""
    before = time.monotonic()
    wall = time.time()
    return wall - (before + time.monotonic()) / 2


class Build(Struct, frozen=True):
    """One build, as it was run and as Bazel tells it.

    `summary` is the line that counts processes, and what it counts; `summary_at` the moment of
    its arrival on `time.monotonic()`. `offsets` are the wall clock minus the monotonic one,
    before and after. `log` is None where there can be none: an HTTP cache, a Bazel without it. There,
    `kept_apart` are the spawns that ask no cache, None where they were not, and `cache_error` is what Bazel
    said of the cache where it went on without.
    """

    name: PhaseName
    access: Access
    endpoint: str
    started: float
    seconds: float
    warm: bool
    exit_code: int | None
    last_words: str
    events: BuildEvents
    log: CallLog | None
    summary: tuple[Spawns, str] | None
    summary_at: float | None
    offsets: tuple[float, float]
    detail: Mapping[str, Any] = field(default_factory=dict)
    kept_apart: int | None = None
    cache_error: str = ""

    @property
    def spawns(self) -> Spawns:
        """The counts of processes: from the event file, or else from the summary."""
        if self.events.spawns is not None:
            return self.events.spawns
        return self.summary[0] if self.summary is not None else Spawns()


def phase_of(build: Build, *, novel: bool = False) -> Phase:
    """The phase that `build` is. `novel` says that nobody can have stored what it asked for."""
    spawns, log = build.spawns, build.log
    counted = log is not None and build.access is not Access.WITHHELD
    asked = log.asked if counted and log is not None else spawns.total
    hits = min(log.hits, spawns.remote_hits) if counted and log is not None else spawns.remote_hits
    violations = [*_failures(build), *_executors(build), *_local_caches(build), *_disagreements(build)]
    if novel and hits:
        violations.append(f"{hits} of {asked} came from a cache, although nobody can have stored them")
    return Phase(
        client=Client.BAZEL,
        name=build.name,
        started=build.started,
        seconds=build.seconds,
        asked=asked,
        hits=hits,
        local=spawns.local,
        first_hit=_first_hit(build) if hits else None,
        warm=build.warm,
        rpcs=dict(log.counts) if log is not None else {},
        violations=tuple(violations),
        detail={**build.detail, **_detail(build)},
    )


def without_actions(build: Build, phase: Phase) -> Phase:
    """`phase` of the user's own targets, with what never asks a cache counted apart.

    A target of no actions (a filegroup, a source file) and actions that are kept from caches by a tag
    (`no-cache`, `no-remote`, `local`) can hit nothing, whatever the cache holds.
    """
    if build.exit_code != 0:
        return phase
    if build.log is not None:
        never = max(0, build.spawns.total - build.log.asked)
    elif build.kept_apart is not None:
        never = min(build.kept_apart, build.spawns.total)
        phase = replace(phase, asked=build.spawns.total - never)
    else:
        return phase
    detail = {**phase.detail, "never_asked": never}
    if phase.asked == 0:
        if never:
            some = "1 action" if never == 1 else f"{never} actions"
            detail["reason"] = f"no action of these targets may be cached: {some} ran here without a question"
            named = "a tag keeps them from caches (no-cache, no-remote, local): bazel aquery shows it"
        else:
            detail["reason"] = "these targets have no action that a cache could serve"
            named = "a filegroup and a source file have none: name a target that something builds"
        detail["remedies"] = (named,)
    return replace(phase, detail=detail)


def _first_hit(build: Build) -> float | None:
    """The end of the first look-up that hit; without a log of calls, the latest that it can have been."""
    if build.log is None:
        return build.summary_at
    if build.log.hit_at is None:
        return None
    # The log counts in whole milliseconds of another clock: keep the moment inside the phase.
    moment = build.log.hit_at - sum(build.offsets) / 2
    return min(max(moment, build.started), build.started + build.seconds)


def _detail(build: Build) -> dict[str, Any]:
    moved = build.offsets[1] - build.offsets[0]
    detail: dict[str, Any] = {
        "endpoint": build.endpoint,
        "exit_code": build.exit_code,
        "processes": None if build.summary is None else build.summary[1],
        "runners": dict(build.spawns.runners),
    }
    if build.log is None:
        detail["source"] = (
            "Bazel's summary: there is no log of calls here, and the first hit was no later than that line"
        )
    else:
        detail["source"] = "Bazel's log of calls"
        detail["actions"] = list(build.log.actions)
        if build.log.truncated:
            detail["log_truncated"] = True
    if abs(moved) > CLOCK_TOLERANCE:
        detail["clock_moved"] = round(moved, 3)
    return detail


def _failures(build: Build) -> Iterator[str]:
    never_called = build.log is not None and build.log.capabilities is None
    if never_called and build.exit_code != 0 and build.last_words:
        # It ended before its first call, for a reason of its own: no cache has a part in that.
        yield f"bazel exited with {build.exit_code} before it asked the cache: {build.last_words}"
        return
    if build.log is not None and build.access is not Access.WITHHELD:
        status = build.log.capabilities
        if status is None:
            yield f"not attached: Bazel never asked {build.endpoint} for its capabilities"
        elif status != "OK":
            yield f"not attached: {build.endpoint} answered Bazel with {status}"
    if build.cache_error and build.access is Access.READ:
        yield f"not attached: Bazel could not use {build.endpoint}: {build.cache_error}"
    if build.exit_code != 0:
        said = f": {build.last_words}" if build.last_words else ""
        yield f"bazel exited with {build.exit_code}{said}"
    elif build.events.options is None:
        yield "bazel did not say with which options it built"


def _executors(build: Build) -> Iterator[str]:
    options = build.events.options
    if options is not None and (executor := options.effective("remote_executor")):
        yield f"an executor was configured: {executor}"
    if build.log is not None and build.log.executions:
        yield f"an executor was called {build.log.executions} times"
    if build.spawns.remote:
        yield f"{build.spawns.remote} processes ran on an executor"


def _local_caches(build: Build) -> Iterator[str]:
    options = build.events.options
    if options is not None and (disk := options.effective("disk_cache")):
        yield f"a disk cache was configured: {disk}"
    if build.spawns.disk_hits:
        yield f"{build.spawns.disk_hits} hits came from a disk cache"


def _disagreements(build: Build) -> Iterator[str]:
    spawns, log, options = build.spawns, build.log, build.events.options
    if options is not None and options.effective("remote_cache") not in (build.endpoint, None):
        yield f"another cache than the one to prove was asked: {options.effective('remote_cache')}"
    if log is not None and spawns.remote_hits > log.hits:
        served = f"{spawns.remote_hits} hits, and the remote cache served {log.hits}"
        yield f"bazel counts {served}: the others came from a disk cache or were served before"
    elif log is not None and log.hits > spawns.remote_hits and build.exit_code == 0:
        usable = f"{spawns.remote_hits} of the {log.hits} results that the cache knew could be used"
        yield f"{usable}: it has lost blobs of the others"
    if log is not None and build.access is Access.READ and log.uploads:
        yield f"{log.uploads} uploads were made in a phase that only reads"
    if build.access is Access.WITHHELD and build.exit_code == 0 and spawns.local != spawns.total:
        yield f"only {spawns.local} of {spawns.total} processes ran here with the endpoint withheld"
