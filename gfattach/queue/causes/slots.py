"""Causes that are a maximum reached: by jobs, or by what holds a slot and runs none."""

from __future__ import annotations

from gfattach.cluster.api.arc.runner import REGISTRATION_FINALIZER, Runner
from gfattach.queue.causes.admission import quota_hit
from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, SetRule, Verdict, counted, of_sets, span
from gfattach.queue.holders import Holder, holders
from gfattach.queue.model.world import SetView

#: Seconds: a runner that waits for its pod is made anew after ten minutes; what is stuck is so for longer.
PENDING = 720.0
DELETING = 600.0
SETTLING = 60.0
REBORN = 120.0

#: Objects of one kind that an answer names; how many there are is always said.
NAMED = 5

#: Why the kubelet or a controller ended a pod that was well.
_EVICTIONS = (
    "Evicted",
    "NodeLost",
    "Shutdown",
    "NodeShutdown",
    "Terminated",
    "Preempting",
    "UnexpectedAdmissionError",
)


def names(runners: list[Runner]) -> str:
    """Their names, the first few."""
    shown = ", ".join(each.name for each in runners[:NAMED])
    return f"{shown}, …" if len(runners) > NAMED else shown


def _full(case: Case) -> tuple[list[Runner], int, list[Holder]] | None:
    """The runners, the maximum and the holders where every slot has a job; None where one has none."""
    runners: list[Runner] = []
    for view in case.sets:
        found = view.counts
        if not 0 < view.set.maximum <= found.current or found.busy < found.current:
            return None
        runners += view.counted
    return (runners, sum(view.set.maximum for view in case.sets), holders(runners)) if runners else None


def _held(full: tuple[list[Runner], int, list[Holder]], case: Case) -> dict[str, object]:
    runners, maximum, found = full
    shown = ", ".join(f"{each.repository} {each.count}" for each in found[:NAMED])
    view = case.sets[0]
    return {
        "label": case.label,
        "busy": len(runners),
        "maximum": maximum,
        "holders": shown,
        "oldest": span(case.now - min(each.meta.created for each in runners)),
        "repository": found[0].repository,
        "run": next(iter(found[0].runs), 0) or "RUN",
        "count": found[0].count,
        "namespace": view.set.namespace,
        "set": view.set.name,
        "workflows": ", ".join(found[0].workflows[:3]) or "workflows that are not named",
    }


def _one_holder(case: Case) -> Hit | None:
    full = _full(case)
    if full is None or len(full[0]) < 2:
        return None
    first = full[2][0]
    everyone = all(view.set.registration.kind == "repository" for view in case.sets)
    if everyone or 2 * first.count <= len(full[0]):
        return None
    return Hit(_held(full, case), tuple(each.reference for each in first.runners[:NAMED]), first.since)


def _all_busy(case: Case) -> Hit | None:
    full = _full(case)
    if full is None:
        return None
    oldest = min(each.meta.created for each in full[0])
    return Hit(_held(full, case), tuple(each.reference for each in full[0][:NAMED]), oldest)


def _hit(found: list[Runner], **facts: object) -> Hit | None:
    if not found:
        return None
    known = {"count": counted(len(found), "runner"), "names": names(found), "runner": found[0].name, **facts}
    return Hit(
        known, tuple(each.reference for each in found[:NAMED]), min(each.meta.created for each in found)
    )


def _failed(view: SetView, case: Case) -> Hit | None:
    found = [each for each in view.counted if each.phase == "Failed" and each.reason != "InvalidPod"]
    if not found or not view.full:
        return None
    return _hit(found, current=view.counts.current, reason=found[0].reason or "no reason given")


def _podless(view: SetView, case: Case) -> Hit | None:
    if not view.full:
        return None
    running = [each for each in view.counted if each.phase == "Running" and view.pod(each) is None]
    running = [each for each in running if case.older(each.meta.created, SETTLING)]
    waiting = [each for each, pod in view.waiting if pod is None and case.older(each.meta.created, PENDING)]
    if waiting and quota_hit(view, case) is not None:
        waiting = []
    return _hit(running + waiting)


def _evicted(view: SetView, case: Case) -> Hit | None:
    if not view.full:
        return None
    found, reasons = [], []
    for each in view.counted:
        pod = view.pod(each) if each.phase != "Failed" else None
        if pod is not None and pod.phase == "Failed" and _is_eviction(pod.reason):
            found.append(each)
            reasons.append(pod.reason)
    return _hit(found, reason=reasons[0]) if found else None


def _is_eviction(reason: str) -> bool:
    return reason in _EVICTIONS or reason.startswith("OutOf")


def _stuck(view: SetView, case: Case) -> Hit | None:
    found = [e for e in view.runners if e.meta.deleted is not None and case.older(e.meta.deleted, DELETING)]
    if not found:
        return None
    kept = found[0].meta.finalizers
    github = any(REGISTRATION_FINALIZER in each.meta.finalizers for each in found)
    why = "GitHub says that their job still runs" if github else "something does not remove it"
    since = min(each.meta.deleted for each in found if each.meta.deleted is not None)
    facts = {
        "count": counted(len(found), "runner"),
        "names": names(found),
        "runner": found[0].name,
        "finalizer": kept[0] if kept else "none",
        "why": why,
    }
    return Hit(facts, tuple(each.reference for each in found[:NAMED]), since)


def _zombie(view: SetView, case: Case) -> Hit | None:
    found = []
    for each in view.counted:
        pod = view.pod(each) if each.busy and each.phase == "Running" else None
        if pod is None or not (each.failures or pod.restarts):
            continue
        if (pod.meta.created - each.meta.created).total_seconds() > REBORN:
            found.append(each)
    hit = _hit(found)
    if hit is None:
        return None
    first = found[0]
    more = {"repository": first.repository or "OWNER/NAME", "run": first.run or "RUN"}
    return Hit({**hit.facts, **more}, hit.objects, hit.since, strong=True)


_RUNNER = "kubectl -n {namespace} describe ephemeralrunner {runner}"
_DELETE = "in the operator's window: kubectl -n {namespace} delete ephemeralrunner {runner}"
_JOBS = (
    "gh api repos/{repository}/actions/runs/{run}/jobs"
    " --jq '.jobs[]|{{name,status,labels,runner_name,runner_group_name}}'"
)


def _cause(
    number: int, code: str, title: str, rule: SetRule, sentence: str, next_: tuple[str, ...], clear: str
) -> Cause:
    return Cause(
        number, code, title, Verdict.BLOCKED, Certainty.SEEN, of_sets(rule), sentence, next_, clear
    )  # fmt: skip


ONE_HOLDER = Cause(
    37, "queue.slots.one-holder", "one repository holds most of the label's runners", Verdict.AT_CAPACITY,
    Certainty.SEEN, _one_holder,
    "{label} at capacity: {busy} of {maximum} busy, {count} of them with {repository} ({workflows}),"
    " the oldest for"
    " {oldest}; ARC has no limit for one repository",
    (_JOBS, "gh run cancel {run} --repo {repository}", "or have the operator raise maxRunners of {set}"),
    "no repository holds most of it",
)  # fmt: skip
ALL_BUSY = Cause(
    18, "queue.slots.busy", "every runner of the label has a job",
    Verdict.AT_CAPACITY, Certainty.SEEN, _all_busy,
    "{label} at capacity: {busy} of {maximum} busy, the oldest for {oldest}: {holders}",
    (_JOBS, "wait, or have the operator raise maxRunners of {set}"),
    "a runner more may be made",
)  # fmt: skip
FAILED = _cause(
    19, "queue.slots.failed", "failed runners hold slots", _failed,
    "{count} of {set} failed ({reason}), holding slots, {current} of {maximum}: {names}",
    (_RUNNER, _DELETE),
    "no failed runner holds a slot",
)  # fmt: skip
PODLESS = _cause(
    20, "queue.slots.podless", "runners without a pod hold slots", _podless,
    "{count} of {set} without a pod (its node was drained or lost, as a rule), holding slots: {names}",
    (_RUNNER, _DELETE),
    "every runner has its pod",
)  # fmt: skip
EVICTED = _cause(
    21, "queue.slots.evicted", "runners whose pod was evicted hold slots", _evicted,
    "{count} of {set} whose pod was ended ({reason}), holding slots: {names}",
    ("kubectl -n {namespace} describe pod {runner}", _DELETE),
    "no runner's pod was evicted",
)  # fmt: skip
STUCK = _cause(
    22, "queue.slots.stuck", "runners that are being deleted do not go", _stuck,
    "{count} of {set} deleted, and still there (finalizer {finalizer}: {why}): {names}",
    (_RUNNER, "gh api orgs/{owner}/actions/runners --jq '.runners[]|{{id,name,status,busy}}'"),
    "no deletion is stuck",
)  # fmt: skip
ZOMBIE = Cause(
    23, "queue.slots.zombie", "a runner may wait for a job that has ended",
    Verdict.BLOCKED, Certainty.POSSIBLE,
    of_sets(_zombie),
    "{count} of {set} lost the pod in which the job began, and got a later one: the job may be"
    " over: {names}",
    (_JOBS, _DELETE),
    "no runner with a job lost its pod",
)  # fmt: skip
