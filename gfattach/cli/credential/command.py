"""`gfattach credential`: store, check and forget tokens; Bazel's credential helper."""

from __future__ import annotations

from typing import Any

import click

from gfattach.cli.execute import execute, result_options
from gfattach.cli.main import Group
from gfattach.core.context import Context
from gfattach.credential.store import STORES


@click.group(cls=Group)
def credential() -> None:
    """Store, check and forget the tokens for hosts.

    A token is read from stdin, a prompt, a file or a variable, and never from the command line.
    """


@credential.command(
    short_help="store the token for a host", context_settings={"ignore_unknown_options": True}
)
@click.argument("words", metavar="HOST", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--store",
    type=click.Choice(STORES),
    default=STORES[0],
    show_default=True,
    help="Where to keep it: the system's keyring, or a private file (0600) below the state directory.",
)
@click.option("--from-file", metavar="FILE", help="Read it from FILE; stdin or a prompt without it.")
@click.option("--from-env", metavar="NAME", help="Read it from the variable NAME.")
@result_options
@click.pass_context
def login(
    ctx: click.Context,
    words: tuple[str, ...],
    store: str,
    from_file: str | None,
    from_env: str | None,
    verbose: bool,
    output: str,
) -> None:
    """Store the token for HOST."""
    from gfattach.cli.credential.view import logged_in
    from gfattach.operator.credentials import LoginOptions, login

    options = LoginOptions(words, store, from_file, from_env)
    ctx.exit(execute("credential login", output, verbose, lambda run: logged_in(login(options, ctx.obj))))


@credential.command(short_help="forget the token for a host")
@click.argument("host")
@result_options
@click.pass_context
def logout(ctx: click.Context, host: str, verbose: bool, output: str) -> None:
    """Forget the token for HOST."""
    from gfattach.cli.credential.view import logged_out
    from gfattach.operator.credentials import logout

    ctx.exit(execute("credential logout", output, verbose, lambda run: logged_out(host, logout(host))))


@credential.command(short_help="ask the kubeconfig's credential plugin anew, after another login")
@result_options
@click.pass_context
def refresh(ctx: click.Context, verbose: bool, output: str) -> None:
    """Drop what the credential plugins of kubeconfigs have handed out, so that the next command asks anew.

    For after a login as another account, or with more rights: an answer is kept until it expires.
    """
    from gfattach.cli.credential.view import refreshed
    from gfattach.operator.credentials import refresh

    ctx.exit(execute("credential refresh", output, verbose, lambda run: refreshed(refresh(ctx.obj))))


@credential.command(short_help="which hosts have a token, where it is, and what it says of itself")
@result_options
@click.pass_context
def status(ctx: click.Context, verbose: bool, output: str) -> None:
    """Show which hosts have a token, where it is, and what it says of itself. Never the token."""
    from gfattach.cli.credential.view import credential_status
    from gfattach.operator.credentials import status

    ctx.exit(execute("credential status", output, verbose, lambda run: credential_status(status(ctx.obj))))


@credential.command(short_help="answer a credential helper's question: for Bazel, not for people")
@click.option(
    "--host", metavar="HOST", default="", help="Answer for HOST where a forward on this machine asks."
)
@click.option("--port", metavar="PORT", default="", help="And that listens at PORT.")
@click.pass_context
def get(ctx: click.Context, host: str, port: str) -> None:
    """Answer a credential helper's question on stdin. For Bazel, not for people."""
    from gfattach.credential.helper import main

    words = [*(["--host", host] if host else []), *(["--port", port] if port else [])]
    context: Context = ctx.obj
    stdin: Any = context.stdin
    ctx.exit(main(words, context.environ, stdin.buffer, context.stdout, context.stderr))
