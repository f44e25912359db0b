"""`gfattach site`: what is known of the site, and filling it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.attach.model.options import ClientOptions
from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.main import Group
from gfattach.cli.options import client_options, cluster_options, site_options

if TYPE_CHECKING:
    from gfattach.core.engine import Run


@click.group(cls=Group)
def site() -> None:
    """Show, check, publish and warm the site that is attached to."""


@site.command(short_help="every setting, its value, and where the value comes from")
@click.option("--cluster", is_flag=True, help="Ask the cluster for what its operator published, too.")
@site_options
@output_options
@click.pass_context
def show(
    ctx: click.Context,
    cluster: bool,
    site: dict[str, object],
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Show every setting of the site, its value, and where the value comes from."""
    from gfattach.cli.site.view import shown_site
    from gfattach.operator.site import show_site

    def work(run: Run) -> Outcome:
        return shown_site(show_site(workspace, site, ctx.obj, run, ask_cluster=cluster))

    ctx.exit(execute("site show", output, verbose, work))


@site.command(short_help="allow what a workspace's own files say, once, as they are now")
@click.option("--forget", is_flag=True, help="Allow nothing of the workspace any more.")
@output_options
@click.pass_context
def allow(ctx: click.Context, forget: bool, workspace: Path | None, verbose: bool, output: str) -> None:
    """Show what the workspace's gfattach.toml and tools/bazel decide, and allow them as they are now.

    Nothing that a repository says is contacted, run or trusted before that. A file that changes is asked
    about anew. A workspace that another user may write to is trusted by the same command.
    """
    from gfattach.cli.site.view import allowed_site
    from gfattach.operator.allow import allow_site

    def work(run: Run) -> Outcome:
        return allowed_site(allow_site(workspace, ctx.obj, run, forget=forget))

    ctx.exit(execute("site allow", output, verbose, work))


@site.command(short_help="which store may be used in which role, and why not")
@click.option("--cluster", is_flag=True, help="Ask the cluster for what its operator published, too.")
@site_options
@output_options
@click.pass_context
def authority(
    ctx: click.Context,
    cluster: bool,
    site: dict[str, object],
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Show which store below the caches may be used in which role.

    A store that is interim_only is for reads and probes; the site's own word alone makes one durable. Ends
    with 3 where the site trusts one that is not: so does what attaches, proves or publishes.
    """
    from gfattach.cli.inputs.view import backend_authority
    from gfattach.operator.authority import show_authority

    def work(run: Run) -> Outcome:
        return backend_authority(show_authority(workspace, site, ctx.obj, run, ask_cluster=cluster))

    ctx.exit(execute("site authority", output, verbose, work))


@site.command(short_help="every fault of a site's file, with its line")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@output_options
@click.pass_context
def lint(ctx: click.Context, file: Path | None, workspace: Path | None, verbose: bool, output: str) -> None:
    """Check FILE, or the workspace's gfattach.toml, and show every fault with its line.

    Ends with 0 when there is none and with 2 when there is one. No cluster is asked.
    """
    from gfattach.cli.site.view import linted
    from gfattach.operator.publish import lint_site

    ctx.exit(
        execute("site lint", output, verbose, lambda run: linted(lint_site(workspace, file, ctx.obj, run)))
    )


@site.command(short_help="put a site's file into the cluster, for every developer")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--dry-run", is_flag=True, help="Print the ConfigMap, for kubectl apply -f -, and ask no cluster."
)
@cluster_options
@output_options
@click.pass_context
def publish(
    ctx: click.Context,
    file: Path | None,
    dry_run: bool,
    site: dict[str, object],
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Write what FILE says of the site into a ConfigMap, from which every developer takes it.

    FILE is the workspace's gfattach.toml without one. What it says of one machine (the kubeconfig, the
    context) says where to publish, and is not published. Needs the right to get, create and patch it.
    """
    from gfattach.cli.site.view import published
    from gfattach.operator.publish import PublishOptions, publish_site

    options = PublishOptions(workspace, file, site, dry_run)
    ctx.exit(
        execute("site publish", output, verbose, lambda run: published(publish_site(options, ctx.obj, run)))
    )


@site.command(short_help="fill the cache with what a proof asks for, from a lane that may write")
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
    from gfattach.cli.site.view import warmed
    from gfattach.operator.site import WarmOptions, warm_site

    options = WarmOptions(workspace, site, clients, upload)
    ctx.exit(execute("site warm", output, verbose, lambda run: warmed(warm_site(options, ctx.obj, run))))
