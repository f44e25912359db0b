"""Outlines as one HTML page, of the kind that every diagnosis has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from gfattach.queue.views.outline import Item, Page, Section, Table
from gfattach.report.html import document, text

#: The colours of the page's style, by an outline's tone.
_TONES = {"good": "ok", "bad": "fail", "busy": "warn", "unknown": "unknown"}


def html(pages: Sequence[Page], heading: str, at: datetime, server: str) -> str:
    """The whole document. `at` is when the cluster was looked at."""
    stand = f'<p class="detail">{text(server)}, {text(at.isoformat(timespec="seconds"))}</p>'
    return document(heading, [stand, *(line for page in pages for line in _page(page))])


def _page(page: Page) -> Iterator[str]:
    yield f'<p class="verdict {_TONES[page.tone]}">{text(page.title)}</p>'
    if page.summary:
        yield f"<p>{text(page.summary)}</p>"
    for section in page.sections:
        yield from _section(section)
    yield from (f'<p class="detail">{text(note)}</p>' for note in page.notes)


def _section(section: Section) -> Iterator[str]:
    if section.title in ("ruled out", "not in the cluster"):
        yield f"<details><summary>{text(section.title)}</summary>"
        yield from _content(section)
        yield "</details>"
        return
    yield f"<h2>{text(section.title)}</h2>"
    yield from _content(section)


def _content(section: Section) -> Iterator[str]:
    if section.items:
        yield "<ul>"
        yield from (line for item in section.items for line in _item(item))
        yield "</ul>"
    if section.table is not None:
        yield from _table(section.table)


def _item(item: Item) -> Iterator[str]:
    code = f" <code>{text(item.key)}</code>" if item.key else ""
    yield f"<li>{text(item.text)}{code}"
    yield from (f'<div class="detail">{text(each)}</div>' for each in item.details)
    yield from (f"<div><code>{text(each)}</code></div>" for each in item.commands)
    yield "</li>"


def _table(found: Table) -> Iterator[str]:
    yield '<div class="scroll"><table>'
    yield f"<tr>{''.join(f'<th>{text(each)}</th>' for each in found.head)}</tr>"
    yield from (f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in found.rows)
    yield "</table></div>"
