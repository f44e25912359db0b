"""`gfattach notes`: what is done with recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, result_options
from gfattach.cli.main import Group

if TYPE_CHECKING:
    from gfattach.core.engine import Run

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=Group)
def notes() -> None:
    """Compare field notes: recorded runs, as doctor --note and up --note keep them."""


@notes.command(short_help="what got faster or slower, what was fixed, what is new")
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@result_options
@click.pass_context
def compare(ctx: click.Context, before: Path, after: Path, verbose: bool, output: str) -> None:
    """Compare two recorded runs, BEFORE and AFTER: JSON files beside notes, or of --report."""
    from gfattach.cli.notes.view import comparison
    from gfattach.doctor.notes.compare import compared
    from gfattach.doctor.notes.files import read_run, taken_as_run

    def work(run: Run) -> Outcome:
        old, new = read_run(before), read_run(after)
        with taken_as_run(before):
            compared(old, old)
        with taken_as_run(after):
            return comparison(compared(old, new))

    ctx.exit(execute("notes compare", output, verbose, work))
