"""`gfattach logs`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--lines", "-n", type=click.IntRange(0), default=50, show_default=True, help="How many entries."
)
@click.option(
    "--follow", "-f", is_flag=True, help="Go on with what is logged from now on, until interrupted."
)
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Have the agent log from this level on, and show nothing.",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="The workspace; without it, the one around the current directory.",
)
def logs(lines: int, follow: bool, level: str | None, workspace: Path | None) -> None:
    """Show what the background process that holds the forwards has logged."""
    from gfattach.attach import logs as work

    if level is not None:
        work.set_level(workspace, level)
        return
    log = work.read_log(workspace, lines)
    for line in log.lines:
        click.echo(line)
    if follow:
        for line in work.follow(log):
            click.echo(line)
