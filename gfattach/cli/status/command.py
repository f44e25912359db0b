"""`gfattach status`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.sections import SectionedCommand
from gfattach.core.engine import Run


@click.command(cls=SectionedCommand)
@click.option("--watch", is_flag=True, help="Look again and again, and say what changes, until interrupted.")
@output_options
@click.pass_context
def status(ctx: click.Context, watch: bool, workspace: Path | None, verbose: bool, output: str) -> None:
    """Show what is attached, and whether it is healthy now.

    Ends with 0 when something is attached and healthy, with 1 when nothing is or it is not. With
    --watch it asks the agent, the background process, alone; --output json is a document a line then.
    """
    if watch:
        from gfattach.attach.watch import watch as looks
        from gfattach.cli.interrupts import end_as_interrupted
        from gfattach.cli.status.view import look_lines
        from gfattach.core.redact import redact, redacted

        end_as_interrupted()

        for look in looks(workspace, ctx.obj):
            if output == "json":
                click.echo(json.dumps(redacted(look.as_json())))
                continue
            for line in look_lines(look):
                click.echo(redact(line))
        return

    from gfattach.attach.status import inspect
    from gfattach.cli.status.view import inspected

    def work(run: Run) -> Outcome:
        return inspected(inspect(workspace, ctx.obj, run), ctx.obj.environ)

    ctx.exit(execute("status", output, verbose, work))
