"""How each thing of the audit is looked for. Every look raises MayNot for what this user may not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, field

from gfattach.cluster.api.arc.names import by_namespace, release
from gfattach.cluster.api.metadata import Metadata, Reference
from gfattach.queue.causes.cause import span
from gfattach.queue.causes.listeners import SETTLING, differences
from gfattach.queue.model.world import SetView, World, grouped

#: Seconds after which a deletion is stuck: GitHub's refusal to forget a runner is asked about every 30 s.
STUCK = 600.0


class Amiss(Struct, frozen=True):
    """One thing that is amiss: what fills the sentence, the objects, and since when."""

    facts: Mapping[str, object]
    objects: tuple[Reference, ...]
    since: datetime | None = field(default=None)


def _amiss(found: Reference, since: datetime | None = None, **facts: object) -> Amiss:
    known: dict[str, object] = {"namespace": found.namespace, "name": found.name}
    return Amiss({**known, **facts}, (found,), since)


def _views(world: World) -> list[SetView]:
    return [world.view(each) for each in world.scale_sets()]


def orphan_listeners(world: World) -> Iterator[Amiss]:
    """Listeners whose spec names no scale set that there is."""
    known = {(each.namespace, each.name) for each in world.scale_sets()}
    for each in world.listeners():
        if (each.set_namespace, each.set_name) not in known:
            yield _amiss(each.reference, each.meta.created, owner=f"{each.set_namespace}/{each.set_name}")


def twin_listeners(world: World) -> Iterator[Amiss]:
    """Listeners with one scale set's id at one URL: GitHub gives the session to one of them."""
    registered = (each for each in world.listeners() if each.registered)
    for (number, url), found in grouped(registered, lambda each: (each.registered, each.url.lower())).items():
        if len(found) > 1:
            names = ", ".join(f"{each.namespace}/{each.name}" for each in found)
            facts = {"count": len(found), "id": number, "url": url, "names": names}
            place = {"namespace": found[0].namespace, "name": found[0].name}
            yield Amiss({**place, **facts}, tuple(each.reference for each in found), found[0].meta.created)


def misnamed_listeners(world: World) -> Iterator[Amiss]:
    """Listeners whose suffix is not the one that their scale set's namespace, group and URL give."""
    for view in _views(world):
        wanted = view.set.listener_names()
        for each in view.listeners:
            if each.name in wanted:
                continue
            old = each.name == by_namespace(view.set.name, view.set.namespace)
            why = (
                "the suffix is that of a chart before 0.13.1"
                if old
                else ("the suffix is that of another runner group, URL or namespace")
            )
            owner = f"{view.set.namespace}/{view.set.name}"
            yield _amiss(each.reference, each.meta.created, owner=owner, expected=wanted[0], why=why)


def differing_listeners(world: World) -> Iterator[Amiss]:
    """Listeners whose maximum, minimum, URL, group, id or runner set is not their scale set's."""
    for view in _views(world):
        own = view.listener
        if own is None or (world.now - view.set.meta.changed).total_seconds() < SETTLING:
            continue
        what = differences(view)
        if own.registered and view.set.registered and own.registered != view.set.registered:
            what.append(f"scale set id {own.registered} instead of {view.set.registered}")
        if own.runner_set and own.runner_set not in [each.name for each in view.runner_sets]:
            what.append(f"runner set {own.runner_set}, which does not exist")
        if what:
            owner = f"{view.set.namespace}/{view.set.name}"
            yield _amiss(own.reference, view.set.meta.changed, owner=owner, what=", ".join(what))


def missing_listeners(world: World) -> Iterator[Amiss]:
    """Scale sets that are registered and have no listener."""
    for view in _views(world):
        found = view.set
        if found.registered <= 0 or found.phase == "Outdated" or view.listeners:
            continue
        if (world.now - found.meta.created).total_seconds() > SETTLING:
            yield _amiss(found.reference, found.meta.changed, expected=found.listener_names()[0])


def orphan_runners(world: World) -> Iterator[Amiss]:
    """Runners and runner sets whose owner is gone, and runners of a scale set that is not registered."""
    sets = {each.meta.uid: each for each in world.scale_sets()}
    scope = world.snapshot.scope
    runner_sets = {each.meta.uid: each for each in world.snapshot.runner_sets.in_all(scope)}
    for each in runner_sets.values():
        if each.meta.owner not in sets:
            why = f"its owner {each.meta.owner_name or 'that is not named'} is gone"
            yield _amiss(each.reference, each.meta.created, what="the runner set", why=why)
    for runner in world.snapshot.runners.in_all(scope):
        parent = runner_sets.get(runner.meta.owner)
        owner = None if parent is None else sets.get(parent.meta.owner)
        if parent is None:
            why = f"its owner {runner.meta.owner_name or 'that is not named'} is gone"
        elif owner is not None and (owner.phase == "Pending" or owner.registered <= 0) and not runner.busy:
            if (world.now - runner.meta.created).total_seconds() < STUCK:
                continue
            state = "Pending" if owner.phase == "Pending" else "not registered"
            why = f"its scale set {owner.name} is {state}, and nothing will scale it down"
        else:
            continue
        yield _amiss(runner.reference, runner.meta.created, what="the runner", why=why)


def stuck_deletions(world: World) -> Iterator[Amiss]:
    """Objects of ARC's that are being deleted for ten minutes and more, with what keeps them."""
    scope = world.snapshot.scope
    kinds: list[tuple[str, list[tuple[Reference, Metadata]]]] = [
        ("the scale set", [(each.reference, each.meta) for each in world.scale_sets()]),
        ("the listener", [(each.reference, each.meta) for each in world.listeners()]),
        ("the runner set", [(e.reference, e.meta) for e in world.snapshot.runner_sets.in_all(scope)]),
        ("the runner", [(e.reference, e.meta) for e in world.snapshot.runners.in_all(scope)]),
    ]
    for what, found in kinds:
        for reference, meta in found:
            if meta.deleted is None or world.now - meta.deleted < timedelta(seconds=STUCK):
                continue
            finalizer = ", ".join(meta.finalizers) or "no finalizer"
            facts = {"what": what, "kind": reference.kind.lower(), "finalizer": finalizer}
            yield _amiss(reference, meta.deleted, age=span(world.now - meta.deleted), **facts)


def skewed_versions(world: World) -> Iterator[Amiss]:
    """Scale sets of another version than the controller that watches them."""
    for each in world.scale_sets():
        controller = world.controller_for(each.namespace)
        own = release(each.meta.version)
        theirs = None if controller is None else release(controller.meta.version)
        if controller is None or own is None or theirs is None or own == theirs:
            continue
        other = own[:2] != theirs[:2]
        means = (
            "it deletes scale sets of another minor version" if other else "patches may differ from 0.12 on"
        )
        yield _amiss(
            each.reference, None, own=each.meta.version, controller=controller.meta.version, means=means
        )


def without_maximum(world: World) -> Iterator[Amiss]:
    """Scale sets with maxRunners 0."""
    for each in world.scale_sets():
        if each.maximum == 0:
            yield _amiss(each.reference)


def outdated_sets(world: World) -> Iterator[Amiss]:
    """Scale sets that are parked until their runner template changes."""
    for each in world.scale_sets():
        if each.phase == "Outdated":
            yield _amiss(each.reference)


def failed_runners(world: World) -> Iterator[Amiss]:
    """Failed runners, which count against the maximum until they are deleted."""
    for view in _views(world):
        for each in view.counted:
            if each.phase == "Failed":
                facts = {"reason": each.reason or each.message or "no reason given", "owner": view.set.name}
                age = span(world.now - each.meta.created)
                yield _amiss(each.reference, each.meta.created, age=age, **facts)


def controllers_down(world: World) -> Iterator[Amiss]:
    """Controllers without a pod that is available."""
    for each in world.controllers():
        if each.available == 0:
            found = Reference("Deployment", each.meta.namespace, each.meta.name)
            yield _amiss(found, None, available=each.available, wanted=each.wanted)


def unwatched_sets(world: World) -> Iterator[Amiss]:
    """Scale sets in namespaces that no controller watches, where there are controllers."""
    if not world.controllers():
        return
    for each in world.scale_sets():
        if world.controller_for(each.namespace) is None:
            yield _amiss(each.reference)
