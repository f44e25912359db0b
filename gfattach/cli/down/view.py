"""What `down` undid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gfattach.cli.execute import Outcome
from gfattach.cli.views.attachment import shell_attached, shell_lines
from gfattach.core.errors import ExitCode
from gfattach.core.quote import command

if TYPE_CHECKING:
    from gfattach.attach.down.down import Detached


def detached(done: Detached, environ: Mapping[str, str]) -> Outcome:
    """What `down` undid."""
    document = {**done.as_json(), "shell_attached": shell_attached(environ)}
    if done.undoing is None:
        return Outcome(ExitCode.GOOD, document, ["nothing is attached here", *shell_lines(environ)])
    left = [f"left, because gfattach did not make it: {path}" for path in done.undoing.left]
    where = done.home.workspace or "outside of any workspace"
    return Outcome(
        ExitCode.GOOD, document, [f"detached: {where}", *left, *_kept(done), *shell_lines(environ)]
    )


def _kept(done: Detached) -> Iterator[str]:
    """What the user has decided stays, and how it is taken back."""
    if done.allowed is not None and done.home.workspace is not None:
        again = command("gfattach", "site", "allow", "--forget", "--workspace", done.home.workspace)
        yield f"kept: what you allowed of it; to take that back: {again}"
