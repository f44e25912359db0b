"""The table as Markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence

from gfattach.rbe.coverage.table import Cell, Row

#: What a cell says where nothing was proved.
NOTHING = "no evidence"

_COLUMNS = (
    "language",
    "hermeticity",
    "cache-backed",
    "remotely executed (the label, and nothing else)",
    "known gaps",
)


def _cells(row: Row) -> tuple[Sequence[Cell], ...]:
    return row.hermeticity, row.cached, row.executed, row.gaps


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield f"| {' | '.join(_COLUMNS)} |"
    yield f"|{'---|' * len(_COLUMNS)}"
    for row in rows:
        said = (_joined(cells, _plain, "<br>") for cells in _cells(row))
        yield f"| {row.language} | {' | '.join(said)} |"


def _plain(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return f"{text} ({cell.date}{', stale' if cell.stale else ''}; `{cell.source}`)"


def page(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of an HTML document that needs nothing else."""
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8"><title>Remote execution: coverage</title>'
    yield "<style>body{font:15px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
    yield "th,td{border:1px solid #888;padding:.4em;text-align:left;vertical-align:top}"
    yield ".stale{background:#fff3cd}.none{color:#777}small{color:#555}</style></head><body><table>"
    yield f"<tr>{''.join(f'<th>{html.escape(name)}</th>' for name in _COLUMNS)}</tr>"
    for row in rows:
        said = "".join(f"<td>{_joined(cells, _marked, '<br>')}</td>" for cells in _cells(row))
        kind = "none" if not row.known else "stale" if row.stale else "known"
        yield f'<tr class="{kind}"><th>{html.escape(row.language)}</th>{said}</tr>'
    yield "</table></body></html>"


def _marked(cell: Cell) -> str:
    stale = ", stale" if cell.stale else ""
    source = html.escape(cell.source)
    return f'{html.escape(cell.text)} <small title="{source}">{cell.date}{stale}; {source}</small>'


def _joined(cells: Sequence[Cell], render: Callable[[Cell], str], between: str) -> str:
    return between.join(map(render, cells)) if cells else NOTHING
