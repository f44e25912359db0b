"""How many runners a label may have and has, over all scale sets of an owner that serve it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.arc.runner import Runner
from gfattach.cluster.api.arc.scale_set import UNLIMITED
from gfattach.cluster.api.scheduling.pods import RunnerPod
from gfattach.cluster.api.scheduling.unschedulable import parse
from gfattach.queue.causes.cause import span
from gfattach.queue.causes.pods import parts_of
from gfattach.queue.holders import Holder, holders
from gfattach.queue.model.world import Counts, SetView, World, count


class SetRow(Struct, frozen=True):
    """One scale set. `maximum` None is no maximum; `wanted` is what its listener asks for."""

    namespace: str
    name: str
    group: str
    minimum: int
    maximum: int | None
    wanted: int
    counts: Counts


class WaitingRow(Struct, frozen=True):
    """A runner that is to come up: since when, and what its pod says."""

    runner: str
    seconds: int
    state: str


class Capacity(Struct, frozen=True):
    """The sums, the sets, who holds the runners, and which runners wait."""

    sets: tuple[SetRow, ...]
    counts: Counts
    maximum: int | None
    wanted: int
    holders: tuple[Holder, ...]
    waiting: tuple[WaitingRow, ...]


def capacity(world: World, views: Sequence[SetView]) -> Capacity:
    """What the sets have together. Raises MayNot."""
    runners = [runner for view in views for runner in view.runners]
    rows = tuple(_row(view) for view in views)
    bounded = [row.maximum for row in rows if row.maximum is not None]
    return Capacity(
        rows,
        count(runners),
        sum(bounded) if len(bounded) == len(rows) else None,
        sum(row.wanted for row in rows),
        tuple(holders(runners)),
        tuple(_waiting(world, views)),
    )


def _row(view: SetView) -> SetRow:
    found = view.set
    return SetRow(
        found.namespace,
        found.name,
        found.registered_group or found.group,
        found.minimum,
        None if found.maximum >= UNLIMITED else found.maximum,
        view.wanted,
        view.counts,
    )


def _waiting(world: World, views: Iterable[SetView]) -> list[WaitingRow]:
    rows = [
        WaitingRow(runner.name, int((world.now - runner.meta.created).total_seconds()), pod_state(pod))
        for view in views
        for runner, pod in view.waiting
    ]
    return sorted(rows, key=lambda row: -row.seconds)


def pod_state(pod: RunnerPod | None) -> str:
    """Why a pod does not run, in a few words."""
    if pod is None:
        return "no pod"
    if pod.unscheduled is not None:
        return f"{pod.unscheduled[0]}: {parts_of(pod.unscheduled[1], parse(pod.unscheduled[1]))}"
    if pod.containers:
        first = pod.containers[0]
        return f"{first.name}: {first.reason}" + (f": {first.message}" if first.message else "")
    return f"pod {pod.phase or 'new'}" + (f" on {pod.node}" if pod.node else "")


def counts_json(found: Counts) -> dict[str, int]:
    """For programs."""
    return {name: getattr(found, name) for name in Counts.__struct_fields__}


def holder_json(world_now: Any, found: Holder) -> dict[str, Any]:
    """For programs."""
    return {
        "repository": found.repository,
        "runners": found.count,
        "workflows": list(found.workflows),
        "runs": list(found.runs),
        "since": found.since.isoformat(),
        "age": span(world_now - found.since),
        "names": [each.name for each in found.runners],
    }


def run_of(runners: Iterable[Runner], run: int) -> list[Runner]:
    """The runners that run jobs of one workflow run."""
    return [each for each in runners if run and each.run == run and each.busy]
