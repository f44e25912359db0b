"""`gfattach bazel`."""

from __future__ import annotations

import click

from gfattach.core.context import Context


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("words", metavar="[STARTUP OPTIONS] COMMAND [ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def bazel(context: Context, words: tuple[str, ...]) -> None:
    """Run Bazel with the attachment's rc and the environment contract applied.

    What the contract refuses ends with 3. Everything else is Bazel's: this process becomes it.
    """
    from gfattach.attach.bazel.command import become, prepare

    replacement = prepare(words, context)
    for note in replacement.notes:
        click.echo(f"gfattach: {note}", err=True)
    become(replacement)
