"""`gfattach inputs`: list, contract, check, fetch, prove, authority."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.main import Group

if TYPE_CHECKING:
    from gfattach.core.context import Context
    from gfattach.core.engine import Run
    from gfattach.inputs.place import InputsOptions

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=Group)
def inputs() -> None:
    """Know the external inputs of a workspace, cover them, and prove a build without a network."""


def _shared(
    *, bazel: bool = False, shelf: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of several commands; the command gets them as `shared`, an InputsOptions."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def gathered(*args: Any, workspace: Path | None, **values: Any) -> Any:
            from gfattach.inputs.place import InputsOptions

            context: Context = click.get_current_context().obj
            shared = InputsOptions(
                context.environ,
                context.cwd,
                workspace,
                targets=values.pop("targets", ()),
                bazel=values.pop("bazel", None),
                bazel_options=values.pop("bazel_options", ()),
                contract=values.pop("contract", None),
                distdirs=values.pop("distdirs", ()),
                repository_cache=values.pop("repository_cache", None) if shelf else None,
            )
            return command(*args, shared=shared, **values)

        wrapped: Callable[..., Any] = output_options(gathered)
        if shelf:
            about = "A repository cache that covers them; BAZEL_REPOSITORY_CACHE, or the site's, without it."
            wrapped = click.option("--repository-cache", type=_DIRECTORY, help=about)(wrapped)
            about = "A distdir that covers them, its layers too; BAZEL_DISTDIR, or the site's, without it."
            wrapped = click.option("--distdir", "distdirs", multiple=True, type=_DIRECTORY, help=about)(
                wrapped
            )
        if bazel:
            about = "An option for each of Bazel's commands, such as --config=ci."
            wrapped = click.option(
                "--bazel-option", "bazel_options", multiple=True, metavar="OPTION", help=about
            )(wrapped)
            about = "The Bazel to use; BAZEL_BIN, bazelisk or bazel without it."
            wrapped = click.option("--bazel", metavar="PROGRAM", help=about)(wrapped)
            wrapped = click.argument("targets", nargs=-1)(wrapped)
        return wrapped

    return decorate


def _contract(command: Callable[..., Any]) -> Callable[..., Any]:
    about = "The contract; gfattach-inputs.json of the workspace without it."
    return click.option("--contract", type=_FILE, help=about)(command)


def _credentials(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--ca-file", type=_FILE, help="PEM authorities for https.")(command)
    about = "Bazel's credential helper, as its --credential_helper has it; a netrc is read without it."
    return click.option(
        "--credential-helper", "helpers", multiple=True, metavar="[PATTERN=]PATH", help=about
    )(command)


@inputs.command("list", short_help="what the workspace needs from outside, and what cannot be covered")
@click.option(
    "--observe/--declared-only", default=True, help="Ask a Bazel that starts with nothing, or only files."
)
@_shared(bazel=True)
@click.pass_context
def list_(ctx: click.Context, observe: bool, shared: InputsOptions, verbose: bool, output: str) -> None:
    """List what TARGETS (//... without any) need from outside: declared, observed, and where these disagree.

    Ends with 1 where an input cannot be had from upstream, or not everything could be seen.
    """
    from gfattach.cli.inputs.view import listed
    from gfattach.inputs.inventory.listing import list_inputs

    def work(run: Run) -> Outcome:
        return listed(list_inputs(shared, run, observed=observe))

    ctx.exit(execute("inputs list", output, verbose, work))


@inputs.command(short_help="the declared set of inputs, to be committed")
@click.option("--write", type=_FILE, help="Write it to FILE; what FILE says of other platforms stays.")
@_shared(bazel=True)
@click.pass_context
def contract(
    ctx: click.Context, write: Path | None, shared: InputsOptions, verbose: bool, output: str
) -> None:
    """Make the contract of what TARGETS need on this platform, as JSON."""
    from gfattach.cli.inputs.view import declared
    from gfattach.inputs.inventory.listing import write_declared

    ctx.exit(
        execute("inputs contract", output, verbose, lambda run: declared(write_declared(shared, write, run)))
    )


@inputs.command(short_help="what is covered, missing, wrong, or not needed any more")
@click.option("--ask-bazel/--no-bazel", default=True, help="Compare with what the workspace needs now, too.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@_contract
@_shared(bazel=True, shelf=True)
@click.pass_context
def check(
    ctx: click.Context, ask_bazel: bool, markdown: bool, shared: InputsOptions, verbose: bool, output: str
) -> None:
    """Compare the contract with the distdirs and the repository cache, and with the workspace.

    Ends with 0 when every input is covered and declared, and with 1 when one is not.
    """
    from gfattach.cli.inputs.view import checked
    from gfattach.inputs.check.check import check_inputs

    def work(run: Run) -> Outcome:
        return checked(check_inputs(shared, run, ask_bazel=ask_bazel), markdown=markdown)

    ctx.exit(execute("inputs check", output, verbose, work))


@inputs.command(short_help="fetch the contract's inputs, verified, into a distdir or repository cache")
@click.option(
    "--distdir", type=_DIRECTORY, help="The distdir to fetch into; layers below it for colliding names."
)
@click.option("--repository-cache", type=_DIRECTORY, help="The repository cache to fetch into.")
@click.option(
    "--from", "source", metavar="DIR|URL", default="", help="From a distdir, repository cache or mirror."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=8, show_default=True, help="Downloads at a time.")
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(1, 86400),
    default=3600,
    show_default=True,
    help="Seconds for all.",
)
@click.option("--all-platforms", is_flag=True, help="What other platforms need, too.")
@_credentials
@_contract
@_shared()
@click.pass_context
def fetch(ctx: click.Context, /, shared: InputsOptions, verbose: bool, output: str, **values: Any) -> None:
    """Fetch every input of the contract: verified before it is named, resumed where it was.

    Ends with 1 where one could not be had; run it again to go on. Nothing is written over.
    """
    from gfattach.cli.inputs.view import fetched
    from gfattach.inputs.materialise.fetching import FetchOptions, fetch_inputs

    values["every_platform"] = values.pop("all_platforms")
    options = FetchOptions(shared, **values)
    ctx.exit(execute("inputs fetch", output, verbose, lambda run: fetched(fetch_inputs(options, run))))


@inputs.command(short_help="a build with nothing but the declared inputs, and no network")
@click.option(
    "--without", metavar="NAME", help="The input that the control takes away; the first without it."
)
@click.option("--evidence", type=_FILE, help="Write the evidence to FILE, as JSON.")
@click.option("--namespace/--proxy", default=True, help="Leave the network, or have a proxy that refuses.")
@_contract
@_shared(bazel=True, shelf=True)
@click.pass_context
def prove(
    ctx: click.Context,
    without: str | None,
    evidence: Path | None,
    namespace: bool,
    shared: InputsOptions,
    verbose: bool,
    output: str,
) -> None:
    """Build TARGETS from the distdirs alone, and once more without one input, which has to fail.

    Ends with 4 when it ran and did not prove.
    """
    from gfattach.cli.inputs.view import proved
    from gfattach.inputs.prove.proving import prove_inputs

    def work(run: Run) -> Outcome:
        return proved(prove_inputs(shared, run, without=without, evidence=evidence, namespace=namespace))

    ctx.exit(execute("inputs prove", output, verbose, work))


@inputs.command(short_help="what stands behind each input, and whether the gate is open")
@click.option("--verify", is_flag=True, help="Look at every place that the site has, now.")
@_credentials
@_contract
@_shared()
@click.pass_context
def authority(
    ctx: click.Context,
    verify: bool,
    helpers: tuple[str, ...],
    ca_file: Path | None,
    shared: InputsOptions,
    verbose: bool,
    output: str,
) -> None:
    """Show the authority behind each input. The gate opens only where a durable one was verified for all.

    Ends with 4 while the gate is shut, which it is without evidence.
    """
    from gfattach.cli.inputs.view import authorised
    from gfattach.inputs.authority.gate import AuthorityOptions, ask_authority

    options = AuthorityOptions(shared, verify, helpers, ca_file)
    ctx.exit(
        execute("inputs authority", output, verbose, lambda run: authorised(ask_authority(options, run)))
    )
