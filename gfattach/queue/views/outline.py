"""The shape that every view renders: a title, a summary, and sections of items and tables."""

from __future__ import annotations

from msgspec import Struct, field


class Item(Struct, frozen=True):
    """A statement, what belongs to it, and commands; `key` is the code of a cause."""

    text: str
    details: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    key: str = ""


class Table(Struct, frozen=True):
    """Rows under a head; every row has as many cells."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(Struct, frozen=True):
    """A part with a name; without items and table it is not shown."""

    title: str
    items: tuple[Item, ...] = ()
    table: Table | None = None


class Page(Struct, frozen=True):
    """One answer, audit or scoreboard. `tone` is good, bad, busy or unknown, for a page's colour."""

    title: str
    summary: str
    sections: tuple[Section, ...] = ()
    tone: str = "unknown"
    notes: tuple[str, ...] = field(default=())
