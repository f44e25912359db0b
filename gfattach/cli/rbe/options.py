"""Options that several commands of `gfattach rbe` share."""

from __future__ import annotations

from pathlib import Path

import click

manifest_option = click.option(
    "--manifest",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The eligibility manifest; without it, the workspace's own below config/.",
)

evidence_option = click.option(
    "--evidence",
    "evidence",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Evidence, or a directory with some below it; without it, what was proved of this workspace here.",
)
