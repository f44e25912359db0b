"""What `status` found, at one look and at many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gfattach.cli.execute import Outcome
from gfattach.cli.views.attachment import codes_of, forward_line, shell_lines, store_lines
from gfattach.report.text import seconds
from gfattach.site.trusted import named

if TYPE_CHECKING:
    from gfattach.attach.status import Inspection
    from gfattach.attach.watch import Look


def inspected(seen: Inspection, environ: Mapping[str, str]) -> Outcome:
    """What `status` found."""
    return Outcome(seen.exit_code, seen.as_json(), [*_inspection_lines(seen, environ)])


def _inspection_lines(seen: Inspection, environ: Mapping[str, str]) -> Iterator[str]:
    record = seen.attachment
    if record is None:
        yield "nothing is attached here"
        yield "  to attach: gfattach up, or gfattach up --trial"
        yield from shell_lines(environ)
        return
    where = seen.home.workspace or "outside of any workspace"
    yield f"attached ({record.kind}) since {record.created:%Y-%m-%d %H:%M} UTC: {where}"
    failed = codes_of(seen.report)
    yield f"not healthy: {', '.join(failed)}" if failed else "healthy"
    if (cluster := seen.cluster) is not None:
        yield f"cluster      {cluster}"
    if record.cache is not None:
        yield f"cache        {record.cache.endpoint.url}  {record.bazelrc or 'no fragment'}"
    if record.substituter is not None:
        yield f"substituter  {record.substituter.endpoint.url}  {record.nix_conf or 'no fragment'}"
        yield from store_lines(record)
    for forward in () if seen.agent is None else seen.agent.forwards:
        yield f"{'watched' if forward.port is None else 'forward':<12} {forward_line(forward)}"
    yield from (f"trusted      {item}" for item in named(record.trusted))
    first = (record.first_hit or {}).get("first_hit")
    if first:
        yield f"last proof   first hit after {seconds(first['seconds'])} ({first['client']})"


def look_lines(look: Look) -> list[str]:
    """What a look of `status --watch` saw, each line with the time of the clock on the wall."""
    at = f"{look.at.astimezone():%H:%M:%S}"
    if look.hung:
        return [f"{at}  the agent does not answer: it is stopped or stuck; replace it: gfattach up"]
    if look.agent is None:
        return [f"{at}  the agent has ended; start it again: gfattach up"]
    return [f"{at}  {forward_line(forward)}" for forward in look.agent.forwards]
