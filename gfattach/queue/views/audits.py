"""The outline of an audit."""

from __future__ import annotations

from gfattach.queue.audit.audit import Audit, Defect
from gfattach.queue.causes.cause import counted, span
from gfattach.queue.views.outline import Item, Page, Section

#: Stands before what a finding would take.
WINDOW = "nothing was changed. What follows would change the cluster, and needs the operator's window"


def page(found: Audit) -> Page:
    """All that is amiss, with what it would take; what is well; what could not be looked at."""
    number = len(found.findings)
    title = f"audit: {counted(number, 'thing')} amiss" if number else "audit: nothing is amiss"
    if found.unknown:
        title += f", {counted(len(found.unknown), 'rule')} unknown"
    sections = [
        Section("amiss", tuple(_item(each, found) for each in found.findings)),
        Section("well", tuple(Item(f"not seen: {each.title}", key=each.code) for each in found.clean)),
        Section(
            "unknown",
            tuple(Item(rule.title, (f"may not {right}",), key=rule.code) for rule, right in found.unknown),
        ),
    ]
    tone = "bad" if number else "unknown" if found.unknown else "good"
    return Page(title, WINDOW if number else "", tuple(each for each in sections if each.items), tone)


def _item(each: Defect, found: Audit) -> Item:
    objects = [str(one) for one in each.amiss.objects]
    if each.amiss.since is not None:
        objects.append(f"for {span(found.at - each.amiss.since)}")
    return Item(each.sentence, tuple(objects), each.takes, each.rule.code)
