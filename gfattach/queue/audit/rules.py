"""Hygiene as data: what is looked for, what shows it, and what it would take. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from gfattach.queue.audit import findings as look
from gfattach.queue.audit.findings import Amiss
from gfattach.queue.model.world import World

__all__ = ["HYGIENE", "Amiss", "Hygiene"]

Look = Callable[[World], Iterator[Amiss]]


class Hygiene(Struct, frozen=True):
    """One thing that is looked for. `sentence` and `takes` have fields that an Amiss fills; what it takes is
    printed, never done, and needs the operator's window."""

    code: str
    title: str
    look: Look
    sentence: str
    takes: tuple[str, ...]


_DELETE_RUNNER = "kubectl -n {namespace} delete ephemeralrunner {name}"
_DELETE_LISTENER = "kubectl -n {namespace} delete autoscalinglistener {name} (the controller makes it anew)"

HYGIENE: tuple[Hygiene, ...] = (
    Hygiene(
        "queue.audit.listener.orphan",
        "a listener names a scale set that is gone",
        look.orphan_listeners,
        "the listener {namespace}/{name} is for the scale set {owner}, which does not exist",
        ("kubectl -n {namespace} delete autoscalinglistener {name}",),
    ),
    Hygiene(
        "queue.audit.listener.two",
        "two listeners ask for one scale set's jobs",
        look.twin_listeners,
        "{count} listeners ask for the jobs of scale set {id} of {url}: {names}",
        ("keep the one whose name is computed for the scale set, and delete the other: " + _DELETE_LISTENER,),
    ),
    Hygiene(
        "queue.audit.listener.name",
        "a listener has another name than the one that is computed for it",
        look.misnamed_listeners,
        "the listener {namespace}/{name} of {owner} should be called {expected}: {why}",
        (_DELETE_LISTENER,),
    ),
    Hygiene(
        "queue.audit.listener.settings",
        "a listener differs from its scale set",
        look.differing_listeners,
        "the listener {namespace}/{name} differs from {owner}: {what}",
        (_DELETE_LISTENER,),
    ),
    Hygiene(
        "queue.audit.listener.missing",
        "a scale set has no listener",
        look.missing_listeners,
        "the scale set {namespace}/{name} has no listener; {expected} is awaited",
        ("kubectl -n {namespace} describe autoscalingrunnerset {name}", "look into the controller's log"),
    ),
    Hygiene(
        "queue.audit.runner.orphan",
        "a runner's parent is gone, or not ready for it",
        look.orphan_runners,
        "{what} {namespace}/{name}: {why}",
        (_DELETE_RUNNER,),
    ),
    Hygiene(
        "queue.audit.deletion.stuck",
        "a deletion does not end",
        look.stuck_deletions,
        "{what} {namespace}/{name} is being deleted for {age}, and {finalizer} keeps it",
        ("find what is to remove the finalizer first: kubectl -n {namespace} describe {kind} {name}",),
    ),
    Hygiene(
        "queue.audit.version",
        "a scale set and its controller are of different versions",
        look.skewed_versions,
        "the scale set {namespace}/{name} is of chart {own}, and the controller is {controller}: {means}",
        ("helm -n {namespace} upgrade {name} with the controller's version",),
    ),
    Hygiene(
        "queue.audit.maximum-0",
        "a scale set may have no runner",
        look.without_maximum,
        "the scale set {namespace}/{name} has maxRunners 0",
        ("helm -n {namespace} upgrade {name} --set maxRunners=N, or remove it",),
    ),
    Hygiene(
        "queue.audit.outdated",
        "a scale set is parked as Outdated",
        look.outdated_sets,
        "the scale set {namespace}/{name} is parked as Outdated: its runner's version is refused",
        ("helm -n {namespace} upgrade {name} with a newer runner image",),
    ),
    Hygiene(
        "queue.audit.runner.failed",
        "a failed runner holds a slot",
        look.failed_runners,
        "the runner {namespace}/{name} failed ({reason}) {age} ago and holds a slot of {owner}",
        (_DELETE_RUNNER,),
    ),
    Hygiene(
        "queue.audit.controller.down",
        "the controller has no pod that is available",
        look.controllers_down,
        "the controller {namespace}/{name} has {available} of {wanted} pods available",
        ("kubectl -n {namespace} describe deployment {name}",),
    ),
    Hygiene(
        "queue.audit.controller.namespace",
        "no controller watches a scale set's namespace",
        look.unwatched_sets,
        "no controller watches {namespace}, where the scale set {name} is",
        ("helm upgrade of the controller with another flags.watchSingleNamespace",),
    ),
)
