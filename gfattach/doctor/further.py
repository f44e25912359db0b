"""Further stages of a diagnosis: remote execution's manifest, the contract of inputs, the queue of CI jobs.

Each is asked for what is cheap and read-only: a file that is there, one list of the cluster's. What does not
apply is skipped, with the reason.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError, GfattachError
from gfattach.core.finding import Finding, fail, ok, skip, unknown

if TYPE_CHECKING:
    from gfattach.cluster.api.client import Api
    from gfattach.queue.answer import Answer
    from gfattach.queue.model.snapshot import Snapshot

#: Seconds for the look at the runners' cluster.
QUEUE_SECONDS = 8.0


def manifest(workspace: Path) -> Mapping[str, Finding]:
    """Every fault of the workspace's eligibility manifest."""
    from gfattach.rbe.manifest.read import FILE_NAMES, find_manifest, lint_file

    if not any((workspace / name).exists() for name in FILE_NAMES):
        return {"rbe.manifest": skip("rbe.manifest.none", "this workspace has no eligibility manifest")}
    try:
        path = find_manifest(None, workspace)
        found = lint_file(path)
    except GfattachError as error:
        return {"rbe.manifest": fail(error.code, error.fact, "no proof of it can be made", *error.hints)}
    if not found:
        return {"rbe.manifest": ok("rbe.lint.good", f"{path} has no fault")}
    return {f"rbe.manifest {number}": finding for number, finding in enumerate(found, 1)}


def contract(workspace: Path) -> Mapping[str, Finding]:
    """Whether the workspace's contract of inputs can be read, and what it has."""
    from gfattach.inputs.contract.document import FILE_NAME, read_contract
    from gfattach.queue.causes.cause import counted

    path = workspace / FILE_NAME
    if not path.exists():
        return {"inputs.contract": skip("inputs.contract.none", "this workspace has no contract of inputs")}
    try:
        read = read_contract(path)
    except GfattachError as error:
        why = "nothing can be checked or fetched by it"
        return {"inputs.contract": fail(error.code, error.fact, why, *error.hints)}
    accepted = f", {len(read.accepted)} of them accepted as they are" if read.accepted else ""
    count = counted(len(read.inputs), "input")
    return {"inputs.contract": ok("inputs.contract.read", f"{count}{accepted}")}


def queue(api: Api) -> Mapping[str, Finding]:
    """Whether any runner label of the cluster is blocked, as far as this user may see."""
    from gfattach.cluster.api.client import ApiError
    from gfattach.cluster.api.listing import absent, refused
    from gfattach.cluster.api.loop import run_sync

    deadline = Deadline.after(QUEUE_SECONDS)
    try:
        some = run_sync(_first(api, deadline))
        if not some:
            return {"queue": skip("queue.none", "the cluster has no scale set of runners")}
        return _answers(_snapshot(api, deadline))
    except ApiError as error:
        if absent(error):
            return {"queue": skip("queue.none", "the cluster knows no scale sets of runners")}
        if refused(error):
            return {
                "queue": unknown(
                    "queue.unseen",
                    "may not list autoscalingrunnersets.actions.github.com in all namespaces",
                    "name those that you may see: gfattach queue --runner-namespace NAMESPACE",
                    "the rights that it takes: gfattach queue --rbac",
                )
            }
        return {"queue": unknown(error.code, error.fact, *error.hints)}
    except ClusterError as error:
        return {"queue": unknown(error.code, error.fact, *error.hints)}


async def _first(api: Api, deadline: Deadline) -> bool:
    """Whether there is any scale set. The group of the API is asked for first: everyone may read that."""
    from gfattach.cluster.api.arc.resources import SCALE_SETS
    from gfattach.cluster.api.listing import pages

    await api.get(f"/{SCALE_SETS.group.rpartition('/')[0]}", deadline)
    async for page in pages(api, SCALE_SETS, None, deadline, limit=1):
        return bool(page.items)
    return False


def _snapshot(api: Api, deadline: Deadline) -> Snapshot:
    from gfattach.cluster.api.loop import run_sync
    from gfattach.queue.model.question import Scope
    from gfattach.queue.read import read_snapshot

    collecting = gc.isenabled()
    gc.disable()  # what is parsed makes no cycles
    try:
        return run_sync(read_snapshot(api, Scope(), deadline))
    finally:
        if collecting:
            gc.enable()


def _answers(snapshot: Snapshot) -> Mapping[str, Finding]:
    """One finding for each label that is not well, or one for all."""
    from gfattach.core.finding import Status
    from gfattach.queue.diagnose import diagnose
    from gfattach.queue.model.question import Question
    from gfattach.queue.model.world import World
    from gfattach.queue.run import finding_of

    answers = diagnose(World(snapshot), Question())
    found = {f"queue.{each.label}": _with_commands(finding_of(each), each) for each in answers}
    wrong = {name: finding for name, finding in found.items() if finding.status is not Status.OK}
    return wrong or {"queue": ok("queue.well", f"none of {len(found)} labels is blocked")}


def _with_commands(finding: Finding, answer: Answer) -> Finding:
    """The finding with what `gfattach queue` prints below its answer: what to run or to do."""
    return finding if answer.cause is None else replace(finding, hints=answer.cause.next)
