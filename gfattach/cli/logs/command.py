"""`gfattach logs`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from gfattach.cli.execute import Outcome, execute
from gfattach.core.context import Context
from gfattach.core.engine import Run


@click.command()
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    metavar="NUMBER",
    help="How many entries, the last ones.",
)
@click.option(
    "--follow", "-f", is_flag=True, help="Go on with what is logged from now on, until interrupted."
)
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Have the agent log from this level on, and show no entries.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    help="text, or json (one document; with --follow a document a line).",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="The workspace; without it, the one around the current directory.",
)
@click.pass_context
def logs(
    ctx: click.Context, lines: int, follow: bool, level: str | None, output: str, workspace: Path | None
) -> None:
    """Show what the agent, the background process that holds the forwards, has logged."""
    from gfattach.attach import logs as work

    if level is not None:
        ctx.exit(execute("logs", output, False, lambda run: _level(workspace, ctx.obj, level)))
    elif follow:
        from gfattach.cli.interrupts import end_as_interrupted

        end_as_interrupted()
        log = work.read_log(workspace, ctx.obj, lines)
        _print(log.lines, output)
        _print(work.follow(log), output)
    elif output == "json":
        ctx.exit(execute("logs", output, False, lambda run: _document(run, workspace, ctx.obj, lines)))
    else:
        _print(work.read_log(workspace, ctx.obj, lines).lines, output)


def _level(workspace: Path | None, context: Context, level: str) -> Outcome:
    from gfattach.attach.logs import set_level

    set_level(workspace, context, level)
    return Outcome(
        result={"level": level}, lines=[f"the agent logs from {level} on; to see it: gfattach logs -f"]
    )


def _document(run: Run, workspace: Path | None, context: Context, lines: int) -> Outcome:
    from gfattach.attach.logs import read_log

    log = read_log(workspace, context, lines)
    run.account("start", "start, and read the log")
    return Outcome(result=log.as_json())


def _print(lines: Iterable[str], output: str) -> None:
    for line in lines:
        click.echo(line if output == "text" else json.dumps({"schema": "gfattach.log/1", "line": line}))
