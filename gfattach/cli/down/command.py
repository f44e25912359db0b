"""`gfattach down`."""

from __future__ import annotations

from pathlib import Path

import click

from gfattach.cli.execute import execute, output_options
from gfattach.cli.sections import SectionedCommand


@click.command(cls=SectionedCommand)
@output_options
@click.pass_context
def down(ctx: click.Context, workspace: Path | None, verbose: bool, output: str) -> None:
    """Undo everything that `up` did, byte for byte. Twice is fine."""
    from gfattach.attach.down.down import detach
    from gfattach.cli.down.view import detached

    ctx.exit(execute("down", output, verbose, lambda run: detached(detach(workspace, run))))
