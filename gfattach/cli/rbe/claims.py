"""`gfattach rbe claims`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.rbe.options import evidence_option, manifest_option
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.core.engine import Run
    from gfattach.rbe.claims.check import Claims


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1)
@manifest_option
@evidence_option
@output_options
@click.pass_context
def claims(
    ctx: click.Context,
    paths: tuple[Path, ...],
    manifest: Path | None,
    evidence: tuple[Path, ...],
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Hold the Markdown at PATHS, or of the workspace, against the manifest and evidence.

    Finds what claims more remote execution than they carry, with file and line, and proved classes that no
    document names. What is meant otherwise is marked: <!-- gfattach: no-claim -->. Ends with 1 for a claim
    that nothing carries.
    """
    from gfattach.rbe.claims.check import ClaimsOptions, check_claims

    options = ClaimsOptions(paths, workspace, manifest, evidence)

    def work(run: Run) -> Outcome:
        return _view(check_claims(options, ctx.obj, run))

    ctx.exit(execute("rbe claims", output, verbose, work))


def _view(found: Claims) -> Outcome:
    code = ExitCode.FAILED if found.refused else ExitCode.GOOD
    line = f"{found.documents} documents, {found.sentences} sentences: {found.refused} claims are not carried"
    result = {
        "documents": found.documents,
        "sentences": found.sentences,
        "refused": found.refused,
        "doubtful": found.doubtful,
    }
    return Outcome(code, result, [f"{line}, {found.doubtful} are doubtful" if found.doubtful else line])
