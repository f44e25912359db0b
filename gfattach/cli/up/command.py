"""`gfattach up`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gfattach.attach.model.options import LEASE_HOURS, ClientOptions, TrialOptions, UpOptions
from gfattach.cli.execute import execute, output_options
from gfattach.cli.options import client_options, nix_path_option, site_options, words_of
from gfattach.cli.recording import note_options
from gfattach.cli.sections import SectionedCommand, option
from gfattach.core.context import Context
from gfattach.core.redact import redact
from gfattach.fragments.bazelrc import OnCacheDown
from gfattach.trial.state import DEFAULT_MAX_BYTES, MIN_MAX_BYTES


class _Hours(click.FloatRange):
    """Hours within bounds, which NaN passes because it compares with nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As the range does it, for numbers."""
        hours = super().convert(value, param, ctx)
        if math.isnan(hours):
            self.fail(f"{value!r} is not a valid float range.", param, ctx)
        return hours


@click.command(cls=SectionedCommand)
@site_options
@option(
    "Trial", "--trial", is_flag=True, help="Attach to caches embedded on this machine: no cluster needed."
)
@option(
    "Trial",
    "--bazel-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Port of the trial's Bazel cache.",
)
@option(
    "Trial",
    "--nix-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Port of the trial's Nix cache.",
)
@option(
    "Trial",
    "--max-bytes",
    type=click.IntRange(MIN_MAX_BYTES),
    metavar="BYTES",
    default=DEFAULT_MAX_BYTES,
    show_default=True,
    help="What the trial's Bazel cache may hold.",
)
@option(
    "Attachment",
    "--link",
    is_flag=True,
    help="Add the fragment to user.bazelrc, in a managed block, if git ignores that file.",
)
@option(
    "Attachment",
    "--on-cache-down",
    type=click.Choice(["local", "fail"]),
    default="local",
    show_default=True,
    help="What a build does when the cache cannot be reached.",
)
@option(
    "Attachment",
    "--lease",
    type=_Hours(0.0, 24.0 * 365, min_open=True),
    default=LEASE_HOURS,
    show_default=True,
    metavar="HOURS",
    help="Idle timeout, in hours, of the agent, the background process that holds the forwards.",
)
@nix_path_option
@option(
    "Attachment",
    "--allow-plaintext-loopback",
    is_flag=True,
    help="Where this Bazel cannot do the TLS that the cache needs: have the agent do it, and Bazel speak "
    "in plaintext to that on 127.0.0.1. What it says, tokens included, root can read there.",
)
@option(
    "Site",
    "--allow-site",
    is_flag=True,
    help="Allow what the workspace's gfattach.toml and tools/bazel say, as `gfattach site allow` does.",
)
@option(
    "Site",
    "--accept-site",
    is_flag=True,
    help="Accept the keys and addresses that the operator's ConfigMap has come to say.",
)
@option("Attachment", "--require-hit", is_flag=True, help="End with exit code 4 when nothing was hit.")
@client_options
@note_options
@output_options
@click.pass_context
def up(
    ctx: click.Context,
    trial: bool,
    bazel_port: int | None,
    nix_port: int | None,
    max_bytes: int,
    link: bool,
    on_cache_down: OnCacheDown,
    lease: float,
    nix_paths: tuple[str, ...],
    allow_plaintext_loopback: bool,
    allow_site: bool,
    accept_site: bool,
    require_hit: bool,
    site: dict[str, object],
    clients: ClientOptions,
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Attach: probe the caches, write the fragments, prove a hit.

    Attaching only ever reads; the trial's own caches alone are written to. It is done once: a second
    `up` finds the attachment, heals it and proves it again. `gfattach down` undoes it.
    """
    if not trial and (bazel_port or nix_port or max_bytes != DEFAULT_MAX_BYTES):
        raise click.UsageError("--bazel-port, --nix-port and --max-bytes go with --trial", ctx)
    if trial and (others := words_of(site)):
        raise click.UsageError(
            f"--trial attaches to caches of its own, and {', '.join(others)} would name others\n"
            "leave out one or the other",
            ctx,
        )
    options = UpOptions(
        workspace=workspace,
        trial=TrialOptions(bazel_port, nix_port, max_bytes) if trial else None,
        clients=clients,
        site=site,
        link=link,
        on_cache_down=on_cache_down,
        require_hit=require_hit,
        nix_paths=nix_paths,
        lease_hours=lease,
        allow_plaintext_loopback=allow_plaintext_loopback,
        allow_site=allow_site or _answered(workspace, output, ctx.obj),
        accept_site=accept_site,
        ask_site=_accepted if _interactive(output, ctx.obj) else None,
    )

    from gfattach.attach.up.up import attach
    from gfattach.cli.up.view import attached

    ctx.exit(
        execute("up", output, verbose, lambda run: attached(attach(options, ctx.obj, run), run.report()))
    )


def _interactive(output: str, context: Context) -> bool:
    """Whether a user is at the terminal to be asked."""
    return output == "text" and context.stdin.isatty() and context.stderr.isatty()


def _accepted(changes: Sequence[str]) -> bool:
    """Whether the user accepts what the operator's ConfigMap has come to say."""
    said = "what the operator's ConfigMap has this machine trust has changed since the last attach:"
    click.echo(said, err=True)
    for line in changes:
        click.echo(f"  {redact(line)}", err=True)
    return click.confirm("accept it?", err=True)


def _answered(workspace: Path | None, output: str, context: Context) -> bool:
    """Whether the user at a terminal allows what the workspace's files say, where they have to be asked."""
    if not _interactive(output, context):
        return False
    from gfattach.core.errors import GfattachError
    from gfattach.operator.allow import asked_of

    try:
        asked = asked_of(workspace, context)
    except GfattachError:
        return False  # the attach says so
    for line in asked:
        click.echo(line, err=True)
    return bool(asked) and click.confirm("allow it?", err=True)
