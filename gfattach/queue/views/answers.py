"""The outline of an answer: verdict, cause, holders, room, what was ruled out, what GitHub knows."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from gfattach.cluster.api.scheduling.quantity import shown
from gfattach.queue.answer import GRANTS, Answer, Found
from gfattach.queue.causes.cause import Verdict, counted, span
from gfattach.queue.causes.pods import DISK
from gfattach.queue.github import unseen
from gfattach.queue.model.question import Question
from gfattach.queue.pressure.pressure import Pressure
from gfattach.queue.views.outline import Item, Page, Section, Table

#: Rows of one table that are shown to people; programs get all.
ROWS = 10

#: What the API does not hold, of the room on a node.
HEADROOM = (
    "requests are counted, as the scheduler counts them: what images and the root file system really"
    " have left"
    " is not in the API"
)

_TONES = {
    Verdict.AT_CAPACITY: "busy",
    Verdict.BLOCKED: "bad",
    Verdict.STARTING: "good",
    Verdict.IDLE: "good",
    Verdict.NOT_SERVED: "bad",
    Verdict.UNKNOWN: "unknown",
}


def page(answer: Answer, question: Question) -> Page:
    """One answer for people."""
    return Page(
        answer.headline,
        answer.unproved if answer.verdict is Verdict.UNKNOWN else answer.summary,
        tuple(section for section in _sections(answer, question) if section.items or section.table),
        _TONES[answer.verdict],
    )


def _sections(answer: Answer, question: Question) -> Iterator[Section]:
    if answer.cause is not None:
        # Its sentence is the summary.
        cause = _found(answer.cause, answer)
        yield Section("cause", (replace(cause, text=answer.cause.cause.title),))
    yield Section("also seen", tuple(Item(each.sentence, key=each.cause.code) for each in answer.also))
    if answer.pressure is not None:
        yield from _pressure(answer, answer.pressure)
    yield Section("ruled out", tuple(Item(each.clear, key=each.code) for each in answer.ruled_out))
    yield Section(
        "not ruled out",
        tuple(
            Item(each.cause.title, (f"may not {each.right}",), key=each.cause.code) for each in answer.unknown
        ),
    )
    if answer.verdict is Verdict.UNKNOWN:
        yield Section("to be granted", (Item("by an administrator", commands=GRANTS),))
    yield Section("possible", tuple(_found(each, answer) for each in answer.possible))
    owner = answer.owner.split(", ")[0]
    yield Section(
        "not in the cluster",
        tuple(Item(each.what, commands=(each.command,)) for each in unseen(question, owner)),
    )


def _found(found: Found, answer: Answer) -> Item:
    details = [str(each) for each in found.objects]
    if found.hit.since is not None:
        details.append(f"for {span(answer.at - found.hit.since)}")
    return Item(found.sentence, tuple(details), found.next, found.cause.code)


def _pressure(answer: Answer, found: Pressure) -> Iterator[Section]:
    if found.capacity is not None:
        capacity = found.capacity
        rows = tuple(
            (each.repository, str(each.count), ", ".join(each.workflows[:3]), span(answer.at - each.since))
            for each in capacity.holders[:ROWS]
        )
        if rows:
            yield Section("held by", table=Table(("repository", "runners", "workflows", "for"), rows))
        else:
            yield Section("held by", (Item("no runner has a job"),))
        sets = tuple(
            (
                f"{each.namespace}/{each.name}",
                "none" if each.maximum is None else str(each.maximum),
                *(
                    str(getattr(each.counts, name))
                    for name in ("busy", "idle", "booting", "pending", "failed")
                ),
                str(each.wanted),
            )
            for each in capacity.sets
        )
        head = ("scale set", "maximum", "busy", "idle", "booting", "pending", "failed", "wanted")
        yield Section("capacity", table=Table(head, sets))
        waits = tuple((each.runner, _seconds(each.seconds), each.state) for each in capacity.waiting[:ROWS])
        if waits:
            yield Section("waiting", table=Table(("runner", "for", "pod"), waits))
    yield from _room(found)
    unknown = tuple(Item(f"{name}: unknown", (f"may not {right}",)) for name, right in found.unknown.items())
    yield Section("not counted", unknown)


def _seconds(seconds: int) -> str:
    from datetime import timedelta

    return span(timedelta(seconds=seconds))


def _room(found: Pressure) -> Iterator[Section]:
    if found.refusals:
        rows = tuple(
            (str(each.pods), f"{part.count} of {each.nodes}", part.text)
            for each in found.refusals
            for part in each.parts
        )
        yield Section("scheduler", table=Table(("pods", "nodes", "for what"), rows[:ROWS]))
    if found.quotas:
        cells = tuple(
            (
                f"{each.namespace}/{each.quota}",
                each.resource,
                shown(each.resource, each.needed),
                shown(each.resource, each.hard - each.used),
                "may not count runners" if each.scoped else "enough" if each.enough else "too little",
            )
            for each in found.quotas
        )
        yield Section("quotas", table=Table(("quota", "resource", "needed", "free", "for one more"), cells))
    if found.nodes:
        fitting = sum(each.fits for each in found.nodes)
        pressed = [each.node for each in found.nodes if each.disk_pressure]
        items = [
            Item(f"one more runner fits on {fitting} of {counted(len(found.nodes), 'node')}; {HEADROOM}")
        ]
        if pressed:
            items.append(Item(f"DiskPressure on {', '.join(pressed[:ROWS])}"))
        lines = tuple(
            (
                each.node,
                str(each.slots),
                f"{shown(DISK, each.disk_free)} of {shown(DISK, each.disk_allocatable)}",
                each.barred or ", ".join(each.lacking) or "fits",
            )
            for each in found.nodes[:ROWS]
        )
        head = ("node", "pod slots", "ephemeral storage free", "for one more")
        yield Section("nodes", tuple(items), Table(head, lines))
    if found.claims:
        made = tuple(
            (each.claim, each.phase, each.storage_class, each.binding) for each in found.claims[:ROWS]
        )
        yield Section("volumes", table=Table(("claim", "phase", "class", "bound"), made))
