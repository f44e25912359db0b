"""What `up` came to: the fragments and how to use them, what was proved, the headline last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gfattach.cli.execute import Outcome
from gfattach.cli.views.attachment import codes_of, store_lines
from gfattach.cli.views.proof import headline_lines, proof_lines
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.attach.model.record import Attachment
    from gfattach.attach.up.up import Attached
    from gfattach.core.engine import Report


def attached(done: Attached, report: Report) -> Outcome:
    """What `up` came to; of one that attached nothing the codes alone, the checklist has shown the causes."""
    return Outcome(done.exit_code, done.as_json(), [*_attached_lines(done, report)])


def _attached_lines(done: Attached, report: Report) -> Iterator[str]:
    if done.attachment is None:
        yield f"not attached: {', '.join(codes_of(report)) or 'nothing was asked for'}"
        return
    if (cluster := done.cluster) is not None:
        yield f"cluster: {cluster}"
    yield from _fragment_lines(done, done.attachment)
    yield from proof_lines(done.proof)
    for reason in done.not_proved:
        yield f"not proved: {reason}"
    yield from done.skipped
    if done.exit_code in (ExitCode.GOOD, ExitCode.UNPROVED):
        yield from headline_lines(done.proof)
    else:  # a time at the end of an attach that failed would read as if it had not
        yield f"attached in part: {', '.join(codes_of(report))}"


def _fragment_lines(done: Attached, record: Attachment) -> Iterator[str]:
    if record.bazelrc is not None:
        yield f"bazel: {record.bazelrc}"
        yield from (f"       {line}" for line in done.use["bazel"])
    if record.nix_conf is not None:
        yield f"nix:   {record.nix_conf}"
        yield from (f"       {line}" for line in done.use["nix"])
        yield from store_lines(record)
