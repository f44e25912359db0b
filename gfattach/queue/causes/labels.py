"""Causes that are settled by which scale sets serve a label, and for whom."""

from __future__ import annotations

import contextlib

from gfattach.cluster.api.arc.names import release
from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, Verdict, counted, of_sets
from gfattach.queue.labels import near
from gfattach.queue.model.snapshot import Leftover, MayNot
from gfattach.queue.model.world import SetView


def _leftovers(case: Case) -> list[Leftover]:
    world = case.world
    names = {(each.namespace, each.name) for each in world.scale_sets()}
    return [
        each
        for each in world.snapshot.leftovers.in_all(world.snapshot.scope)
        if each.scale_set == case.label and (each.namespace, each.scale_set) not in names
    ]


def _unserved(case: Case) -> Hit | None:
    found = case.world.scale_sets()
    if case.sets or case.others:
        return None
    with contextlib.suppress(MayNot):  # what is left of a scale set serves nothing either
        if _leftovers(case):
            return None
    served = [label for each in found for label in each.served]
    close = near(case.label, served)
    scope = case.world.snapshot.scope
    where = "in the cluster" if scope is None else f"in {', '.join(sorted(scope))}"
    shown = (
        f"near it: {', '.join(close)}" if close else f"served are: {', '.join(sorted(set(served))) or 'none'}"
    )
    if not case.world.snapshot.installed:
        shown = "the API server knows no kind of the Actions Runner Controller"
    asked = f"the label {case.label}" if case.label else case.question.repository or "any label"
    return Hit({"asked": asked, "where": where, "shown": shown, "near": next(iter(close), "LABEL")})


def _other_owner(case: Case) -> Hit | None:
    case.world.scale_sets()
    if case.sets or not case.others:
        return None
    owners = sorted({str(each.registration) for each in case.others})
    return Hit(
        {"label": case.label, "owners": ", ".join(owners), "repository": case.question.repository},
        tuple(each.reference for each in case.others),
    )


def _minor(version: str) -> tuple[int, int] | None:
    found = release(version)
    return None if found is None else found[:2]


def _skewed(view: SetView, case: Case) -> Hit | None:
    if view.set.meta.deleted is None and view.listeners:
        return None  # a controller of another version would have deleted it
    controller = case.world.controller_for(view.set.namespace)
    if controller is None:
        return None
    own, theirs = _minor(view.set.meta.version), _minor(controller.meta.version)
    if own is None or theirs is None or own == theirs:
        return None
    return Hit(
        {"controller": controller.meta.version, "what": f"{view.set.reference} is"},
        (view.set.reference,),
        view.set.meta.deleted,
    )


def _version_skew(case: Case) -> Hit | None:
    if case.sets:
        return of_sets(_skewed)(case)
    for left in _leftovers(case):
        controller = case.world.controller_for(left.namespace)
        theirs = "" if controller is None else controller.meta.version
        if _minor(left.version) is not None and _minor(theirs) not in (None, _minor(left.version)):
            account = f"{left.namespace}/{left.name}"
            what = f"the scale set {left.scale_set} is gone, and its ServiceAccount {account} is"
            facts = {"set": left.scale_set, "namespace": left.namespace, "version": left.version}
            return Hit({**facts, "controller": theirs, "what": what})
    return None


def _shared(case: Case) -> Hit | None:
    if len(case.sets) < 2:
        return None
    free = [view for view in case.sets if case.alone.get(view.set.meta.uid) == ("", None)]
    bad = [view for view in case.sets if view not in free]
    if not free or not bad:
        return None
    said = []
    verdict = Verdict.AT_CAPACITY
    for view in bad:
        title, its = case.alone[view.set.meta.uid] or ("", None)
        said.append(f"{view.set.name}: {title}")
        verdict = its or verdict if its is not Verdict.AT_CAPACITY else verdict
    return Hit(
        {
            "label": case.label,
            "sets": counted(len(case.sets), "scale set"),
            "bad": "; ".join(said),
            "free": ", ".join(view.set.name for view in free),
            "namespace": bad[0].set.namespace,
            "set": bad[0].set.name,
        },
        tuple(view.set.reference for view in (*bad, *free)),
        verdict=verdict,
    )


UNSERVED = Cause(
    1, "queue.label.unserved", "no scale set serves the label", Verdict.NOT_SERVED, Certainty.SEEN, _unserved,
    "no scale set {where} serves {asked}; {shown}",
    ("gfattach queue {near}", "kubectl get autoscalingrunnersets -A"),
    "the label is served",
)  # fmt: skip
OTHER_OWNER = Cause(
    2, "queue.label.other-owner", "the label is served for other owners only",
    Verdict.NOT_SERVED, Certainty.SEEN,
    _other_owner,
    "{label} is served for {owners} only: no runner of it can ever take a job of {repository}",
    ("gfattach queue --repo {repository}", "gh api repos/{repository}/actions/runners"),
    "it is served for the owner of the repository",
)  # fmt: skip
SKEW = Cause(
    5, "queue.set.version", "the scale set is of another minor version than the controller",
    Verdict.NOT_SERVED,
    Certainty.SEEN, _version_skew,
    "{what} of chart {version}, and the controller is {controller}: it deletes scale sets of another"
    " minor version",
    ("helm -n {namespace} list", "have the operator install the scale set's chart {controller}: {set}"),
    "its version is one that the controller keeps",
)  # fmt: skip
SHARED = Cause(
    36, "queue.label.shared", "several scale sets serve the label, and not all of them can",
    Verdict.AT_CAPACITY,
    Certainty.SEEN, _shared,
    "{sets} serve {label}, and GitHub gives a job to any of them: {bad}; free: {free}",
    ("kubectl -n {namespace} describe autoscalingrunnerset {set}",),
    "no other scale set with this label takes its jobs",
)  # fmt: skip
