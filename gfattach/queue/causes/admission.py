"""Pods that the API server does not take: a quota, a limit range, a policy."""

from __future__ import annotations

from gfattach.cluster.api.arc.runner import Runner
from gfattach.cluster.api.metadata import Reference
from gfattach.cluster.api.scheduling.events import Event
from gfattach.cluster.api.scheduling.quantity import shown
from gfattach.cluster.api.scheduling.quotas import amount_of, exceeded, short
from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, Verdict, counted, of_sets
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView

#: Seconds within which an event of the quota still speaks of now: the creation is tried again every 30 s.
RECENT = 900.0


def podless(view: SetView) -> list[Runner]:
    """The runners that wait, and whose pod was not made."""
    return [runner for runner, pod in view.waiting if pod is None]


def quota_hit(view: SetView, case: Case) -> Hit | None:
    """The quota that keeps the pods of waiting runners from being made. Raises MayNot.

    What the admission itself said in an event, else what a runner needs against what is left. None of these
    is ruled out before both could be looked at.
    """
    found = podless(view)
    if not found:
        return None
    refused: list[MayNot] = []
    for look in (_by_event, _by_need):
        try:
            hit = look(view, case, found)
        except MayNot as error:
            refused.append(error)
            continue
        if hit is not None:
            return hit
    if refused:
        raise refused[0]
    return None


def _by_event(view: SetView, case: Case, found: list[Runner]) -> Hit | None:
    for each in _events(view, case, found):
        said = exceeded(each.message)
        if said is None or case.older(each.last, RECENT):
            continue
        resource = said["requested"].split(",")[0].partition("=")[0]
        needed, used, hard = (amount_of(said[key], resource) or 0 for key in ("requested", "used", "limited"))
        return _hit(view, found, said["name"], resource, needed, used, hard, "the admission says")
    return None


def _events(view: SetView, case: Case, found: list[Runner]) -> list[Event]:
    world, made = case.world, []
    for runner in found:
        made += world.events_of("EphemeralRunner", runner.namespace, runner.name)
        made += world.events_of("Pod", runner.namespace, runner.name)
    for each in view.runner_sets:
        made += world.events_of("EphemeralRunnerSet", each.namespace, each.name)
    return made


def _by_need(view: SetView, case: Case, found: list[Runner]) -> Hit | None:
    for quota in case.world.quotas_of(view.set.namespace):
        for row in short(quota, view.set.need):
            return _hit(view, found, quota.name, row.resource, row.needed, row.used, row.hard, "it needs")
    return None


def _hit(
    view: SetView, found: list[Runner], quota: str, resource: str, needed: int, used: int, hard: int, by: str
) -> Hit:
    facts: dict[str, object] = {
        "count": counted(len(found), "runner"),
        "quota": quota,
        "resource": resource,
        "needed": shown(resource, needed),
        "used": shown(resource, used),
        "hard": shown(resource, hard),
        "by": by,
    }
    objects = (Reference("ResourceQuota", view.set.namespace, quota), *(each.reference for each in found[:5]))
    return Hit(facts, objects, min(each.meta.created for each in found))


def _quota(view: SetView, case: Case) -> Hit | None:
    return quota_hit(view, case)


def _refused(view: SetView, case: Case) -> Hit | None:
    found = [each for each in view.counted if each.phase == "Failed" and each.reason == "InvalidPod"]
    if not found:
        return None
    facts = {
        "count": counted(len(found), "runner"),
        "message": found[0].message or "no message",
        "runner": found[0].name,
    }
    return Hit(facts, tuple(each.reference for each in found[:5]), min(each.meta.created for each in found))


QUOTA = Cause(
    26, "queue.pods.quota", "a quota is used up", Verdict.BLOCKED, Certainty.SEEN, of_sets(_quota),
    "no pod for {count} of {set}: the quota {quota} has {used} of {hard} {resource} used, and one"
    " more runner needs"
    " {needed} ({by})",
    (
        "kubectl -n {namespace} describe resourcequota {quota}",
        "kubectl -n {namespace} get pods --sort-by=.metadata.creationTimestamp",
        "have the operator raise {resource} in the quota {quota}",
    ),
    "no quota keeps a pod from being made",
)  # fmt: skip
REFUSED = Cause(
    27, "queue.pods.refused", "the API server refuses the runner's pod", Verdict.BLOCKED, Certainty.SEEN,
    of_sets(_refused),
    "the API server refuses the pods of {count} of {set}: {message}",
    (
        "kubectl -n {namespace} describe ephemeralrunner {runner}",
        "kubectl -n {namespace} describe limitranges",
        "have the operator correct the runner template of {set}",
    ),
    "the API server takes the runners' pods",
)  # fmt: skip
