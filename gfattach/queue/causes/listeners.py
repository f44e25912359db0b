"""Causes between a scale set and GitHub: its registration, its listener, the listener's pod."""

from __future__ import annotations

from gfattach.cluster.api.arc.listener import Listener
from gfattach.cluster.api.arc.names import by_namespace, release
from gfattach.cluster.api.metadata import Reference
from gfattach.cluster.api.scheduling.pods import ENDED, RunnerPod
from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, SetRule, Verdict, counted, of_sets
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView

#: Seconds that a controller gets for what it does within a few.
SETTLING = 60.0
REGISTERING = 120.0
LOST = 300.0

#: The first chart whose controller makes a listener's pod anew that has ended.
_REMADE = (0, 13, 1)


def idle_controller(view: SetView) -> bool:
    """Whether the controller is seen to be down, or not to watch the namespace: then that is the cause."""
    try:
        everyone = view.world.controllers()
        own = view.world.controller_for(view.set.namespace)
    except MayNot:
        return False
    return bool(everyone) and (own is None or own.available == 0)


def _pod(view: SetView) -> RunnerPod | None:
    return None if view.listener is None else view.world.pod_of(view.listener)


def _pod_reference(pod: RunnerPod) -> Reference:
    return pod.reference


def _facts(listener: Listener) -> dict[str, object]:
    return {"listener": listener.name, "controllers": listener.namespace}


def _unregistered(view: SetView, case: Case) -> Hit | None:
    found = view.set
    if found.registered > 0 or not case.older(found.meta.created, REGISTERING):
        return None
    return Hit({}, (found.reference,), found.meta.created)


def _outdated(view: SetView, case: Case) -> Hit | None:
    return Hit({}, (view.set.reference,)) if view.set.phase == "Outdated" else None


def _none_allowed(view: SetView, case: Case) -> Hit | None:
    return Hit({}, (view.set.reference,)) if view.set.maximum == 0 else None


def _no_listener(view: SetView, case: Case) -> Hit | None:
    found = view.set
    young = not case.older(found.meta.created, SETTLING)
    if view.listeners or found.registered <= 0 or found.phase == "Outdated" or young or idle_controller(view):
        return None
    why = "the controller has not made it"
    try:
        draining = [each for each in view.runners if each.phase == "Running" and each.meta.deleted is None]
        controller = case.world.controller_for(found.namespace)
        if draining and (controller is None or controller.strategy == "eventual"):
            why = (
                f"{counted(len(draining), 'runner')} of the old revision still run, and with the"
                f" update strategy"
                " `eventual` it comes back when they have ended"
            )
    except MayNot:
        pass
    expected = found.listener_names()[0]
    return Hit({"why": why, "expected": expected}, (found.reference,), found.meta.changed)


def _no_pod(view: SetView, case: Case) -> Hit | None:
    found = view.listener
    if found is None or not case.older(found.meta.created, SETTLING):
        return None
    if case.world.pod_of(found) is not None or idle_controller(view):
        return None
    return Hit(_facts(found), (found.reference,), found.meta.created)


def _dead(view: SetView, case: Case) -> Hit | None:
    listener, pod = view.listener, _pod(view)
    version = release(view.set.meta.version)
    if listener is None or pod is None or pod.phase not in ENDED or version is None or version >= _REMADE:
        return None
    said = pod.reason or pod.phase
    return Hit(
        {**_facts(listener), "said": said}, (_pod_reference(pod), listener.reference), pod.meta.created
    )


def _lost(view: SetView, case: Case) -> Hit | None:
    listener, pod = view.listener, _pod(view)
    if listener is None or pod is None or pod.meta.deleted is None or listener.meta.deleted is not None:
        return None
    if not case.older(pod.meta.deleted, LOST):
        return None
    node = case.world.node(pod.node)
    if node is not None and not node.lost:
        return None
    return Hit(
        {**_facts(listener), "node": pod.node},
        (_pod_reference(pod), Reference("Node", "", pod.node)),
        pod.meta.deleted,
    )


def _crashing(view: SetView, case: Case) -> Hit | None:
    listener, pod = view.listener, _pod(view)
    if listener is None or pod is None or pod.meta.deleted is not None:
        return None
    ended = [each for each in pod.containers if each.exit_code]
    if ended or pod.phase == "Failed":
        how = (
            f"ended with exit code {ended[0].exit_code}" if ended else f"failed: {pod.reason or pod.message}"
        )
    elif _made_anew(view, case, pod):
        how = "was made anew between two looks, both times less than a minute old"
    else:
        return None
    return Hit({**_facts(listener), "how": how}, (_pod_reference(pod), listener.reference), pod.meta.created)


def _made_anew(view: SetView, case: Case, pod: RunnerPod) -> bool:
    if case.before is None or case.older(pod.meta.created, SETTLING):
        return False
    earlier = case.before.views.get(view.set.meta.uid)
    try:
        seen = None if earlier is None else _pod(earlier)
    except MayNot:
        return False
    return (
        seen is not None
        and seen.meta.uid != pod.meta.uid
        and (case.before.age(seen.meta.created).total_seconds() <= SETTLING)
    )


def _same(one: str, other: str) -> bool:
    return one.rstrip("/").lower() == other.rstrip("/").lower()


def _two(view: SetView, case: Case) -> Hit | None:
    own = view.listener
    if own is None:
        return None
    twins = [
        each
        for each in case.world.listeners()
        if each.meta.uid != own.meta.uid
        and each.registered == own.registered > 0
        and _same(each.url, own.url)
    ]
    if twins:
        shown = ", ".join(f"{each.namespace}/{each.name}" for each in (own, *twins))
        how = f"{counted(1 + len(twins), 'listener')} ask for its jobs, and GitHub lets one of them: {shown}"
        return Hit({**_facts(twins[0]), "how": how}, tuple(each.reference for each in (own, *twins)))
    wanted = view.set.listener_names()
    if own.name in wanted:
        return None
    old = own.name == by_namespace(view.set.name, view.set.namespace)
    why = "that of a chart before 0.13.1" if old else "that of another runner group, URL or namespace"
    how = f"its listener is called {own.name}, and it should be {wanted[0]}: the suffix is {why}"
    return Hit({**_facts(own), "how": how}, (own.reference, view.set.reference))


def _aims_wrong(view: SetView, case: Case) -> Hit | None:
    own = view.listener
    if own is None or not case.older(own.meta.created, SETTLING):
        return None
    names = [each.name for each in view.runner_sets]
    if not own.runner_set or own.runner_set in names:
        return None
    return Hit(
        {**_facts(own), "runners": own.runner_set, "real": ", ".join(names) or "none"}, (own.reference,)
    )


def _other_id(view: SetView, case: Case) -> Hit | None:
    own, found = view.listener, view.set
    if own is None or not own.registered or not found.registered or own.registered == found.registered:
        return None
    return Hit(
        {**_facts(own), "its": own.registered, "real": found.registered}, (own.reference, found.reference)
    )


def differences(view: SetView) -> list[str]:
    """In what the listener differs from its scale set, in words."""
    own, found = view.listener, view.set
    if own is None:
        return []
    made = [
        f"{name} {theirs} instead of {ours}"
        for name, theirs, ours in (
            ("maximum", own.maximum, found.maximum),
            ("minimum", own.minimum, found.minimum),
        )
        if theirs != ours
    ]
    if own.url and not _same(own.url, found.url):
        made.append(f"URL {own.url} instead of {found.url}")
    if found.group and found.registered_group and found.group.lower() != found.registered_group.lower():
        made.append(f"runner group {found.registered_group} instead of {found.group}")
    return made


def _behind(view: SetView, case: Case) -> Hit | None:
    own, found = view.listener, view.set
    what = differences(view)
    if own is None or not what or not case.older(found.meta.changed, SETTLING) or idle_controller(view):
        return None
    return Hit({**_facts(own), "what": ", ".join(what)}, (own.reference, found.reference), found.meta.changed)


_DESCRIBE_SET = "kubectl -n {namespace} describe autoscalingrunnerset {set}"
_DESCRIBE_LISTENER = "kubectl -n {controllers} describe autoscalinglistener {listener}"
_LISTENER_LOG = "kubectl -n {controllers} logs {listener}"
_CONTROLLER_LOG = "kubectl -n arc-systems logs -l app.kubernetes.io/part-of=gha-rs-controller --tail=100"
_OPERATOR = (
    "in the operator's window: kubectl -n {controllers} delete autoscalinglistener {listener} (made anew)"
)


def _cause(
    number: int, code: str, title: str, rule: SetRule, sentence: str, next_: tuple[str, ...], clear: str
) -> Cause:
    return Cause(
        number, code, title, Verdict.BLOCKED, Certainty.SEEN, of_sets(rule), sentence, next_, clear
    )  # fmt: skip


UNREGISTERED = _cause(
    4, "queue.set.unregistered", "the scale set is not registered at GitHub", _unregistered,
    "{set} has no id at GitHub: the controller could not register it for {url} (runner group {group})",
    (_CONTROLLER_LOG, "look there for 401, 403, 404, or a runner group that is not found"),
    "it is registered at GitHub",
)  # fmt: skip
OUTDATED = _cause(
    7, "queue.set.outdated", "the scale set is parked as Outdated", _outdated,
    "{set} is Outdated: GitHub refuses its runner's version, and it is parked until its runner"
    " template changes",
    (_DESCRIBE_SET, "have the operator update the runner image in the chart's values"),
    "it is not parked as Outdated",
)  # fmt: skip
MAX_ZERO = _cause(
    8, "queue.set.maximum-0", "the scale set may have no runner", _none_allowed,
    "{set} has maxRunners 0: it never makes a runner",
    ("have the operator raise maxRunners in the chart's values of {set}", _DESCRIBE_SET),
    "its maximum is above 0",
)  # fmt: skip
NO_LISTENER = _cause(
    9, "queue.listener.none", "the scale set has no listener", _no_listener,
    "{set} has no listener ({expected} is awaited): {why}",
    ("kubectl get autoscalinglisteners -A", _CONTROLLER_LOG),
    "it has a listener",
)  # fmt: skip
NO_POD = _cause(
    10, "queue.listener.no-pod", "the listener has no pod", _no_pod,
    "the listener {listener} has no pod: a pull secret is missing, a quota of {controllers} is used"
    " up, or the"
    " controller is down",
    (_DESCRIBE_LISTENER, "kubectl -n {controllers} get events,resourcequotas", _CONTROLLER_LOG),
    "its listener has a pod",
)  # fmt: skip
DEAD = _cause(
    11, "queue.listener.dead", "the listener's pod has ended, and this version does not make it anew", _dead,
    "the pod of {listener} has ended ({said}), and a controller of {version} does not make it anew",
    ("in the operator's window: kubectl -n {controllers} delete pod {listener}", _LISTENER_LOG),
    "the listener's pod has not ended",
)  # fmt: skip
LOST_NODE = _cause(
    12, "queue.listener.lost", "the listener's pod is on a node that is lost", _lost,
    "the pod of {listener} is being deleted on the node {node}, of which nothing is heard",
    (
        "kubectl describe node {node}",
        "in the operator's window: kubectl -n {controllers} delete pod {listener} --force",
    ),
    "its node is there",
)  # fmt: skip
CRASHING = _cause(
    13, "queue.listener.crashing", "the listener crashes", _crashing,
    "the pod of {listener} {how}: a credential that is refused (401, 403) or a URL that is gone"
    " (404), as a rule",
    (_LISTENER_LOG, "kubectl -n {controllers} get pods --watch"),
    "the listener runs",
)  # fmt: skip
TWO_LISTENERS = _cause(
    14, "queue.listener.two", "another listener has the scale set's session", _two,
    "{set}: {how}",
    ("kubectl get autoscalinglisteners -A", _LISTENER_LOG, _OPERATOR),
    "it has one listener, of the name that is computed for it",
)  # fmt: skip
AIMS_WRONG = _cause(
    15, "queue.listener.runner-set", "the listener scales a runner set that is gone", _aims_wrong,
    "the listener {listener} scales {runners}, which does not exist; the runner set of {set} is: {real}",
    (_DESCRIBE_LISTENER, _LISTENER_LOG, _OPERATOR),
    "the listener scales the runner set that there is",
)  # fmt: skip
OTHER_ID = _cause(
    16, "queue.listener.id", "the listener asks for another scale set's jobs", _other_id,
    "the listener {listener} asks for the scale set {its}, and {set} was registered anew as {real}",
    (_DESCRIBE_LISTENER, _OPERATOR),
    "the listener asks for the scale set's own id",
)  # fmt: skip
BEHIND = _cause(
    17, "queue.listener.behind", "the listener has other settings than its scale set", _behind,
    "the listener {listener} has {what}: the controller is behind",
    (_DESCRIBE_LISTENER, _CONTROLLER_LOG),
    "the listener has the scale set's settings",
)  # fmt: skip
