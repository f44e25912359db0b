"""`gfattach status`."""

from __future__ import annotations

from pathlib import Path

import click

from gfattach.cli.execute import execute, output_options


@click.command()
@output_options
@click.pass_context
def status(ctx: click.Context, workspace: Path | None, verbose: bool, output: str) -> None:
    """Show what is attached, and whether it is healthy now.

    Ends with 0 when something is attached and healthy, with 1 when nothing is or it is not.
    """
    from gfattach.attach.status import inspect
    from gfattach.cli.outcomes import inspected

    ctx.exit(execute("status", output, verbose, lambda run: inspected(inspect(workspace, run))))
