"""Causes in ARC's controller: it is down, behind, or looks elsewhere."""

from __future__ import annotations

from gfattach.cluster.api.metadata import Reference
from gfattach.queue.causes.admission import podless, quota_hit
from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, SetRule, Verdict, counted, of_sets
from gfattach.queue.model.world import SetView

#: Seconds in which a controller that is well has done what it is to do.
PROMPT = 120.0


def _behind_by(view: SetView) -> tuple[int, int]:
    """How many runners are wanted beyond those that are there, and the highest patch id of these."""
    return view.wanted - view.counts.current, max((each.patch for each in view.runners), default=0)


def _lively(view: SetView, case: Case) -> bool:
    """Whether the number that is wanted, or a runner, is so new that the rest may still come."""
    times = [each.meta.created for each in view.runners]
    if view.runner_set is not None:
        times.append(view.runner_set.meta.changed)
    return any(not case.older(each, PROMPT) for each in times)


def _late(view: SetView, case: Case) -> bool:
    """Whether runners that are wanted were not made, though the set has a patch to follow."""
    missing, highest = _behind_by(view)
    newest = view.runner_set
    if newest is None or missing <= 0 or _lively(view, case):
        return False
    return newest.patch == 0 or newest.patch != highest


def _undone(view: SetView, case: Case) -> str:
    """What the controller has left undone, in words; "" for nothing."""
    if view.set.registered > 0 and view.set.phase != "Outdated" and not view.listeners:
        return f"{view.set.name} has no listener"
    if view.listener is not None and case.world.pod_of(view.listener) is None:
        return f"the listener {view.listener.name} has no pod"
    waiting = [each for each in podless(view) if case.older(each.meta.created, PROMPT)]
    if waiting and quota_hit(view, case) is None:
        return f"{counted(len(waiting), 'runner')} of {view.set.name} wait for their pods"
    if _late(view, case):
        return f"{counted(_behind_by(view)[0], 'runner')} of {view.set.name} were not made"
    return ""


def _down(view: SetView, case: Case) -> Hit | None:
    what = _undone(view, case)
    if not what:
        return None
    controller = case.world.controller_for(view.set.namespace)
    if controller is None:
        return None
    facts: dict[str, object] = {"what": what, "controller": controller.meta.name}
    facts["controllers"] = controller.meta.namespace
    state = (
        "has no pod that is available"
        if controller.available == 0
        else "is behind, or its client is throttled"
    )
    waiting = podless(view)
    settled = [each for each in waiting if case.older(each.meta.created, PROMPT)]
    if controller.available > 0 and not settled and not _late(view, case):
        return None  # the missing listener or pod has a cause of its own
    found = Reference("Deployment", controller.meta.namespace, controller.meta.name)
    return Hit({**facts, "state": state}, (found, *(each.reference for each in settled[:5])))


def _elsewhere(view: SetView, case: Case) -> Hit | None:
    if view.listeners:
        return None
    found = case.world.controllers()
    if not found or case.world.controller_for(view.set.namespace) is not None:
        return None
    shown = ", ".join(f"{each.meta.namespace}/{each.meta.name} watches {each.watched}" for each in found)
    objects = tuple(Reference("Deployment", each.meta.namespace, each.meta.name) for each in found)
    return Hit({"watched": shown, "controllers": found[0].meta.namespace}, objects)


def _same_patch(view: SetView, case: Case) -> Hit | None:
    missing, highest = _behind_by(view)
    newest = view.runner_set
    if newest is None or missing <= 0 or newest.patch == 0 or newest.patch != highest:
        return None
    if _lively(view, case):
        return None
    facts = {
        "runners": newest.name,
        "wanted": newest.replicas,
        "current": view.counts.current,
        "patch": highest,
    }
    return Hit(facts, (newest.reference,), newest.meta.changed)


def _cause(
    number: int, code: str, title: str, rule: SetRule, sentence: str, next_: tuple[str, ...], clear: str
) -> Cause:
    return Cause(
        number, code, title, Verdict.BLOCKED, Certainty.SEEN, of_sets(rule), sentence, next_, clear
    )  # fmt: skip


_LOG = "kubectl -n {controllers} logs -l app.kubernetes.io/part-of=gha-rs-controller --tail=100"

DOWN = _cause(
    24, "queue.controller.down", "the controller is down or behind", _down,
    "{what}: the controller {controller} {state}",
    ("kubectl -n {controllers} get deployments,pods", _LOG),
    "the controller has left nothing undone",
)  # fmt: skip
ELSEWHERE = _cause(
    25, "queue.controller.namespace", "no controller watches the scale set's namespace", _elsewhere,
    "no controller watches {namespace}, where {set} is: {watched}",
    (
        "kubectl -n {controllers} get deployments -o yaml",
        "have the operator change flags.watchSingleNamespace",
    ),
    "a controller watches its namespace",
)  # fmt: skip
SAME_PATCH = _cause(
    39, "queue.controller.patch", "the runner set waits for the listener's next patch", _same_patch,
    "{runners} wants {wanted} runners and has {current}, and its patch id {patch} is one that it has"
    " followed already",
    (
        "kubectl -n {namespace} get ephemeralrunnerset {runners} -o yaml",
        "kubectl get autoscalinglisteners -A",
    ),
    "the runner set has what its listener asks for",
)  # fmt: skip
