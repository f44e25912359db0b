"""`gfattach rbe coverage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, output_options

if TYPE_CHECKING:
    from gfattach.core.engine import Run
    from gfattach.rbe.coverage.make import Coverage


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--days", type=click.FloatRange(min=0), default=90.0, show_default=True, help="What is older is stale."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html"]),
    default="markdown",
    show_default=True,
    help="What stdout has; --output json has the table as a document.",
)
@output_options
@click.pass_context
def coverage(
    ctx: click.Context,
    paths: tuple[Path, ...],
    days: float,
    form: str,
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Make the toolchain table from the evidence at PATHS, or from what was proved of this workspace here.

    Only evidence that holds is in it, each cell with its date and source. Languages without any say so.
    """
    from gfattach.rbe.coverage.make import make_coverage

    def work(run: Run) -> Outcome:
        return _view(make_coverage(paths, workspace, days, ctx.obj, run), form)

    ctx.exit(execute("rbe coverage", output, verbose, work))


def _view(made: Coverage, form: str) -> Outcome:
    from gfattach.rbe.coverage.render import markdown, page

    lines = [*(markdown if form == "markdown" else page)(made.rows)]
    rows = [row.as_json() for row in made.rows]
    return Outcome(result={"languages": rows, "used": made.used, "left_out": made.left_out}, lines=lines)
