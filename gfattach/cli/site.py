"""`gfattach site`: what is known of the site, and filling it."""

from __future__ import annotations

from pathlib import Path

import click

from gfattach.attach.options import ClientOptions
from gfattach.cli.execute import execute, output_options
from gfattach.cli.options import client_options, site_options


@click.group()
def site() -> None:
    """Show the site that is attached to, and warm it."""


@site.command()
@site_options
@output_options
@click.pass_context
def show(
    ctx: click.Context, site: dict[str, object], workspace: Path | None, verbose: bool, output: str
) -> None:
    """Show every setting of the site, its value, and where the value comes from."""
    from gfattach.attach.site import show_site
    from gfattach.cli.outcomes import shown_site

    ctx.exit(execute("site show", output, verbose, lambda run: shown_site(show_site(workspace, site))))


@site.command()
@click.option(
    "--upload",
    is_flag=True,
    help='Write to the site\'s cache; its cache.upload has to be "trusted" for that.',
)
@site_options
@client_options
@output_options
@click.pass_context
def warm(
    ctx: click.Context,
    upload: bool,
    site: dict[str, object],
    clients: ClientOptions,
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Fill the cache with what a proof asks for, from a lane that may write.

    The protocol's probe action hits for every client afterwards, the Bazel probe for every
    Bazel like the one at hand.
    """
    from gfattach.attach.site import WarmOptions, warm_site
    from gfattach.cli.outcomes import warmed

    options = WarmOptions(workspace, site, clients, upload)
    ctx.exit(execute("site warm", output, verbose, lambda run: warmed(warm_site(options, run))))
