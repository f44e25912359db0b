"""`gfattach down`."""

from __future__ import annotations

from pathlib import Path

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.sections import SectionedCommand
from gfattach.core.engine import Run


@click.command(cls=SectionedCommand)
@output_options
@click.pass_context
def down(ctx: click.Context, workspace: Path | None, verbose: bool, output: str) -> None:
    """Undo everything that `up` did, byte for byte. Twice is fine."""
    from gfattach.attach.down.down import detach
    from gfattach.cli.down.view import detached

    def work(run: Run) -> Outcome:
        return detached(detach(workspace, ctx.obj, run), ctx.obj.environ)

    ctx.exit(execute("down", output, verbose, work))
