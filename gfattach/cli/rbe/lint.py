"""`gfattach rbe lint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.core.engine import Run
    from gfattach.rbe.lint import Linted


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@output_options
@click.pass_context
def lint(ctx: click.Context, file: Path | None, workspace: Path | None, verbose: bool, output: str) -> None:
    """Check FILE, or the workspace's eligibility manifest, and show every fault with its line.

    Ends with 0 when there is none and with 2 when there is one. Keys that are not known are no fault.
    """
    from gfattach.rbe.lint import lint_manifest

    def work(run: Run) -> Outcome:
        return _view(lint_manifest(file, workspace, ctx.obj, run))

    ctx.exit(execute("rbe lint", output, verbose, work))


def _view(linted: Linted) -> Outcome:
    code = ExitCode.USAGE if linted.faults else ExitCode.GOOD
    count = "no fault" if not linted.faults else f"{linted.faults} faults"
    return Outcome(code, {"file": str(linted.path), "faults": linted.faults}, [f"{linted.path}: {count}"])
