"""An attachment in words: its substituter's store, its forwards, the shell's variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gfattach.core.finding import Status
from gfattach.report.text import size

if TYPE_CHECKING:
    from gfattach.agent.model.status import ForwardStatus
    from gfattach.attach.model.record import Attachment
    from gfattach.core.engine import Report


def codes_of(report: Report) -> list[str]:
    """The codes of what failed, each once, in order: the checklist has shown each with its cause."""
    return [*dict.fromkeys(finding.code for finding in report.having(Status.FAIL))]


def store_lines(record: Attachment) -> Iterator[str]:
    """A store of the substituter that may lose what it holds."""
    target = record.substituter
    if target is not None and target.interim:
        yield f"       its store is {target.object_store}: for reading alone, and what it holds may go"


def forward_line(forward: ForwardStatus) -> str:
    """One forward: how it is, where it is, and what has gone over it; of what is only watched, how it is."""
    line = f"{forward.name}  {forward.state}"
    if forward.port is not None:
        line += (
            f"  {forward.address}:{forward.port}"
            f"  {forward.open_connections} open, {forward.total_connections} in all"
            f", {size(forward.bytes_received)} received, {size(forward.bytes_sent)} sent"
        )
    if forward.pods:
        line += f", through {' and '.join(forward.pods)}"
    if forward.rejected_peers:
        line += f", {forward.rejected_peers} of other users turned away"
    return line if forward.state == "up" or not forward.last_error else f"{line}: {forward.last_error}"


def shell_attached(environ: Mapping[str, str]) -> bool:
    """Whether the shell that gfattach was called from has an attachment's variables."""
    from gfattach.contract.environment import MEMORY

    return bool(environ.get(MEMORY))


def shell_lines(environ: Mapping[str, str]) -> Iterator[str]:
    """What no command can undo: the variables of the shell that it was called from."""
    if shell_attached(environ):
        yield '  this shell has an attachment\'s variables; to take them back: eval "$(gfattach env)"'
