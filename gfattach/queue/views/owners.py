"""The scoreboard as an outline and as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gfattach.queue.causes.cause import counted
from gfattach.queue.owners.scoreboard import FAULTY, NO, YES, Cell, LabelUse, Row, Scoreboard
from gfattach.queue.views.outline import Item, Page, Section, Table


def page(found: Scoreboard) -> Page:
    """A table of repositories, and what is to be said of their labels."""
    ready = sum(row.ready == YES for row in found.rows)
    title = f"owners: {ready} of {counted(len(found.rows), 'repository', 'repositories')} can get a runner"
    head = ("repository", "ready", "scale set of the owner", "runner group admits it", "labels in workflows")
    rows = tuple(
        (row.repository, row.ready, _cell(row.registered), _cell(row.admitted), _labels(row))
        for row in found.rows
    )
    faults = tuple(item for row in found.rows for item in _faults(row))
    sections = [Section("repositories", table=Table(head, rows)), Section("labels", faults)]
    tone = (
        "good" if ready == len(found.rows) else "bad" if any(r.ready == NO for r in found.rows) else "unknown"
    )
    at = found.at.isoformat(timespec="seconds")
    note = f"looked at {at}; evidence is stale after {found.stale_days:g} days"
    return Page(title, "", tuple(each for each in sections if each.items or each.table), tone, (note,))


def _cell(cell: Cell) -> str:
    parts = [cell.value]
    if cell.stale:
        parts.append("(stale)")
    if cell.note:
        parts.append(f"· {cell.note}")
    if cell.at is not None:
        parts.append(f"· {_day(cell.at)}")
    if cell.source:
        parts.append(f"· {cell.source}")
    return " ".join(parts)


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _labels(row: Row) -> str:
    if row.labels is None:
        return "unknown · no checkout"
    bad = sum(each.judged.kind in FAULTY for each in row.labels)
    said = f"{counted(len(row.labels), 'label')}, {bad} to change · {row.labels_source}"
    return said + (f" · {counted(len(row.unread), 'file')} unread" if row.unread else "")


def _faults(row: Row) -> list[Item]:
    made = []
    for use in row.labels or ():
        if use.judged.kind in FAULTY:
            instead = f": write {use.judged.instead}" if use.judged.instead else ""
            made.append(Item(f"{row.repository}: {use.judged.label} is {_said(use)}{instead}", use.files))
    made += [Item(f"{row.repository}: {each.file} cannot be read: {each.why}") for each in row.unread]
    return made


def _said(use: LabelUse) -> str:
    kind = use.judged.kind
    words = {"fossil": "a fossil, served no longer", "names a project": "a label that names a project"}
    return words.get(kind.value, kind.value)


def owners_document(found: Scoreboard) -> dict[str, Any]:
    """For programs, without the head that every document has."""
    return {
        "stale_days": found.stale_days,
        "rows": [
            {
                "repository": row.repository,
                "ready": row.ready,
                "registered": _cell_json(row.registered),
                "admitted": _cell_json(row.admitted),
                "labels": None
                if row.labels is None
                else [
                    {
                        "label": use.judged.label,
                        "kind": use.judged.kind.name.lower().replace("_", "-"),
                        "instead": use.judged.instead or None,
                        "files": list(use.files),
                    }
                    for use in row.labels
                ],
                "labels_source": row.labels_source or None,
                "unread": [{"file": each.file, "why": each.why} for each in row.unread],
            }
            for row in found.rows
        ],
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "value": cell.value,
        "note": cell.note,
        "at": None if cell.at is None else cell.at.isoformat(),
        "source": cell.source or None,
        "stale": cell.stale,
    }
