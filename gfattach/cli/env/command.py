"""`gfattach env`, `gfattach exec` and `gfattach consumer-env`: the environment of an attachment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
from click.core import ParameterSource

from gfattach.core.context import Context
from gfattach.core.quote import word

SHELLS = ("sh", "fish", "json", "github")

_WORKSPACE = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="The workspace; without it, the one around the current directory.",
)


@click.command()
@click.option(
    "--shell",
    "kind",
    type=click.Choice(SHELLS),
    default="sh",
    show_default=True,
    help="sh serves bash, dash, zsh and direnv; github writes to the file that $GITHUB_ENV names.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the local environment file of the workspace (.env.flywheel.local) instead.",
)
@click.option(
    "--nix",
    type=click.Choice(("include", "literal")),
    default="include",
    show_default=True,
    help="What NIX_CONFIG gets: the include of a file that is emptied while the cache is away, or the "
    "settings themselves, for scripts that read them there.",
)
@_WORKSPACE
@click.pass_context
def env(ctx: click.Context, kind: str, write: Path | None, nix: str, workspace: Path | None) -> None:
    """Print what makes this shell an attached one: eval "$(gfattach env)".

    With nothing attached it prints what takes an earlier attachment back, so that it is always
    right. It never spells out a value of yours.
    """
    from gfattach.attach import environment
    from gfattach.contract import shells

    if write is not None:
        if ctx.get_parameter_source("kind") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--shell and --write exclude each other: the file is of one kind", ctx)
        click.echo(environment.write_local_file(workspace, ctx.obj, write))
        return
    shell = environment.shell(workspace, ctx.obj, literal=nix == "literal")
    if nix == "literal" and shell.attachment is not None and shell.attachment.nix_conf is not None:
        lines = _LITERAL if environment.nix_lines(shell.attachment) else _AWAY
        click.echo("\n".join("gfattach env: " + line for line in lines), err=True)
    if kind == "github":
        _append_for_github(shells.github(shell.changes, shell.before), shell.before.get("GITHUB_ENV"))
        return
    render = {"sh": shells.sh, "fish": shells.fish, "json": shells.json_text}[kind]
    click.echo(render(shell.changes), nl=False)


#: What is lost by literal settings, and what is done while there are none.
_LITERAL = (
    "NIX_CONFIG has the Nix cache's settings themselves, so this shell keeps a cache that dies:",
    "Nix ends builds then that the cache was used for before, until the shell is made anew",
    "with the file instead, which is emptied while the cache is away: gfattach env --nix include",
)
_AWAY = (
    "the Nix cache is away now, so NIX_CONFIG gets nothing of it",
    "see why: gfattach doctor; once it is back: gfattach env --nix literal",
)


def _append_for_github(text: str, name: str | None) -> None:
    from gfattach.core.errors import UsageError
    from gfattach.core.files import storage_error

    if not name:
        raise UsageError(
            "GITHUB_ENV is not set: this is no step of a job on GitHub",
            "for a shell: gfattach env --shell sh",
        )
    try:
        with Path(name).open("ab") as file:
            file.write(os.fsencode(text))
    except OSError as error:
        raise storage_error("write", Path(name), error) from error


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_WORKSPACE
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.pass_obj
def exec_(context: Context, workspace: Path | None, command: tuple[str, ...]) -> None:
    """Run COMMAND in the attached environment, in place of this process."""
    from gfattach.attach.environment import shell
    from gfattach.core import process
    from gfattach.core.errors import ProgramMissingError, UsageError

    found = shell(workspace, context)
    if found.attachment is None:
        raise UsageError("nothing is attached here", "attach first: gfattach up, or gfattach up --trial")
    program = shutil.which(command[0], path=found.after.get("PATH"))
    if program is None:
        raise ProgramMissingError(
            f"{command[0]} is not there or cannot be run", "see: command -v " + word(command[0])
        )
    try:
        process.replace(Path(program), command, found.after)
    except OSError as error:
        raise ProgramMissingError(
            f"{program} cannot be run: {(os.strerror(error.errno or 0)).lower()}",
            f"look at what it is, and at its first line: file {word(program)}",
        ) from error


@click.command("consumer-env")
@click.argument("profile")
@click.option("--cache-endpoint", metavar="URL", help="The cache; BAZEL_REMOTE_CACHE without it.")
@click.option("--executor-endpoint", metavar="URL", help="The executor; BAZEL_REMOTE_EXECUTOR without it.")
@click.option("--instance-name", metavar="NAME", help="The REAPI instance name.")
@click.option("--credential-helper", metavar="HOST=PATH", help="Bazel's credential helper.")
@click.option("--credential-helper-token-file", metavar="PATH", help="Where the helper finds its token.")
@click.option("--platform", metavar="NAME", help="The platform of remote execution.")
@click.option("--remote-header", metavar="V", help="Refused: a header is a secret, and is not written.")
@click.option("--remote-cache-header", metavar="V", help="Refused likewise.")
@click.option("--remote-exec-header", metavar="V", help="Refused likewise.")
@click.option(
    "--write", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write."
)
@click.pass_obj
def consumer_env(context: Context, /, profile: str, write: Path, **options: str | None) -> None:
    """Write the environment of the enrolment PROFILE to a file that git ignores."""
    from gfattach.contract.consumer import ConsumerRequest, consumer_values
    from gfattach.contract.localfile import write_local_file

    values = consumer_values(ConsumerRequest(profile, **options), context.environ)
    write_local_file(write, values)
    click.echo(write)
