"""An outline as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from gfattach.queue.views.outline import Item, Page, Section, Table


def lines(page: Page) -> Iterator[str]:
    """The title first, then the summary, then every section."""
    yield page.title
    if page.summary:
        yield f"  {page.summary}"
    for section in page.sections:
        yield from _section(section)
    yield from (f"  {note}" for note in page.notes)


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield f"{section.title}:"
    if section.title == "ruled out":  # many, and each of them short
        yield from (f"  {line}" for line in _wrapped("; ".join(each.text for each in section.items)))
        return
    for item in section.items:
        yield from _item(item)
    if section.table is not None:
        yield from table(section.table)


def _item(item: Item) -> Iterator[str]:
    yield f"  {item.text}" + (f"  [{item.key}]" if item.key else "")
    yield from (f"      {each}" for each in item.details)
    yield from (f"    > {each}" for each in item.commands)


def table(found: Table) -> Iterator[str]:
    """The rows in columns, the last as wide as it is."""
    rows = [found.head, *found.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(found.head))]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 106)
