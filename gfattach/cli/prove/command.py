"""`gfattach prove`."""

from __future__ import annotations

from pathlib import Path

import click

from gfattach.attach.model.options import ClientOptions
from gfattach.cli.execute import execute, output_options
from gfattach.cli.options import client_options, nix_path_option
from gfattach.cli.sections import SectionedCommand


@click.command(cls=SectionedCommand)
@click.option(
    "--target",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Measure a target of this workspace instead of the probe, reading only.",
)
@nix_path_option
@click.option(
    "--evidence", type=click.Path(path_type=Path, dir_okay=False), help="Write the evidence here too."
)
@client_options
@output_options
@click.pass_context
def prove(
    ctx: click.Context,
    labels: tuple[str, ...],
    nix_paths: tuple[str, ...],
    evidence: Path | None,
    clients: ClientOptions,
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Prove the attachment with hits: fill (where writing is allowed), hit, and a control phase.

    In the control phase the endpoint is withheld, and the hits have to vanish. Ends with 4 when
    anything was left unproved.
    """
    from gfattach.attach.prove import ProveOptions, prove_attachment
    from gfattach.cli.prove.view import proved

    options = ProveOptions(workspace, clients, labels, evidence, nix_paths)
    ctx.exit(execute("prove", output, verbose, lambda run: proved(prove_attachment(options, ctx.obj, run))))
