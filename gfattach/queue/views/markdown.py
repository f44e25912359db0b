"""An outline as Markdown: for step summaries and for files that are committed."""

from __future__ import annotations

from collections.abc import Iterator

from gfattach.queue.views.outline import Item, Page, Section, Table


def markdown(page: Page) -> str:
    """The page, ending in a line feed."""
    return "\n".join(_lines(page)).rstrip("\n") + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield from (f"### {_escaped(page.title)}", "")
    if page.summary:
        yield from (f"**{_escaped(page.summary)}**", "")
    for section in page.sections:
        yield from _section(section)
    for note in page.notes:
        yield from (_escaped(note), "")


def _section(section: Section) -> Iterator[str]:
    long = section.title in ("ruled out", "not in the cluster")
    if long:
        yield f"<details><summary>{_escaped(section.title)}</summary>"
    else:
        yield f"#### {_escaped(section.title)}"
    yield ""
    for item in section.items:
        yield from _item(item)
    if section.items:
        yield ""
    if section.table is not None:
        yield from _table(section.table)
    if long:
        yield from ("</details>", "")


def _item(item: Item) -> Iterator[str]:
    yield f"- {_escaped(item.text)}" + (f" ({_code(item.key)})" if item.key else "")
    yield from (f"  - {_escaped(each)}" for each in item.details)
    yield from (f"  - {_code(each)}" for each in item.commands)


def _table(found: Table) -> Iterator[str]:
    yield f"| {' | '.join(_escaped(each) for each in found.head)} |"
    yield f"|{'---|' * len(found.head)}"
    yield from (f"| {' | '.join(_escaped(cell) or ' ' for cell in row)} |" for row in found.rows)
    yield ""


def _escaped(text: str) -> str:
    for character in "\\`*_[]|":
        text = text.replace(character, f"\\{character}")
    return text.replace("<", "&lt;").replace("\n", " ")


def _code(text: str) -> str:
    """As a code span, delimited by more backticks than it holds in a row."""
    run = longest = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("\n", " ")
