"""The root of the command line. Commands are loaded when they are called, not before."""

from __future__ import annotations

import errno
import importlib
import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from gfattach import __version__
from gfattach.cli.registry import COMMANDS
from gfattach.cli.sections import SectionedCommand
from gfattach.core.errors import ExitCode, GfattachError, UsageError
from gfattach.core.redact import redact

#: Set, a defect shows where it happened.
DEBUG_VARIABLE = "GFATTACH_DEBUG"


#: What ends the writing of output and is no fault of this program: a full disk, a quota, a broken device.
_NOWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Group(click.Group):
    """A group that shows its help, whole, to whoever names none of its commands. That is wrong usage."""

    command_class = SectionedCommand

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, where there is something to parse."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)


class LazyGroup(Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command `name`, imported now."""
        if name not in COMMANDS:
            return None
        registered = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(registered.module), registered.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, made from the table, so that `--help` imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.about) for name, command in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, and an unknown command's error names the ones there are."""
        if args and args[0] not in COMMANDS:
            raise click.UsageError("\n".join(_unknown_command(args[0])), ctx)
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, parameter: click.Parameter, asked: bool) -> None:
    """The version, and what it was built from."""
    if asked and not ctx.resilient_parsing:
        from gfattach.core.built import built_from

        click.echo(f"gfattach {__version__} ({built_from()})")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Attach this machine to a shared Bazel cache and a shared Nix cache.

    Begin with `gfattach up --trial`, which needs no cluster; `gfattach down` undoes it. How a
    command is used: gfattach help COMMAND.
    """
    from gfattach.core.context import Context  # `--version` and `--help` ask nothing of the process

    ctx.obj = Context.of_process()


def _unknown_command(word: str) -> Iterator[str]:
    """That there is no such command, which one may be meant, and those there are."""
    import difflib

    yield f"there is no command {word!r}"
    yield from (f"did you mean: gfattach {near}" for near in difflib.get_close_matches(word, COMMANDS, 1))
    yield f"there are: {', '.join(COMMANDS)}"


def _bounds(found: re.Match[str]) -> str:
    low, closed, high = found.groups()
    return f"is not from {low} to {high}" if closed else f"is not more than {low} and at most {high}"


def _usage_lines(message: str) -> list[str]:
    """What click says of a bad command line, as fact and hints in this program's voice."""
    message = re.sub(r"is not a valid (?:integer|float)(?: range)?", "is not a number", message)
    message = re.sub(r"is not in the range ([\d.]+)<(=?)x<=([\d.]+)", _bounds, message)
    message = re.sub(r"is not in the range x>=(\d+)", r"is less than \1", message)
    parts = [part.strip() for line in message.splitlines() for part in line.split(". ")]
    bare = [part[1:-1] if part[:1] == "(" and part[-1:] == ")" else part.removesuffix(".") for part in parts]
    return [f"{part[0].lower()}{part[1:]}" for part in bare if part]


def _failed(error: GfattachError, where: str, args: Sequence[str] | None) -> int:
    """Show what ended a command before its work began: as lines, and as the document that was asked for."""
    from gfattach.report.text import error_lines

    for line in error_lines(error.fact, error.hints):
        print(line, file=sys.stderr)
    if _json_asked_for(sys.argv[1:] if args is None else args):
        import json

        from gfattach.report.document import document

        command = where.partition(" ")[2]
        # On one line: who follows a command that goes on reads a document a line.
        print(json.dumps(document(command, None, error.exit_code, error=error)))
    return error.exit_code


def _command_of(args: Sequence[str] | None) -> str:
    """The command that a command line names, for an error of click's that does not say where it arose."""
    path = "gfattach"
    command: click.Command = cli
    for word in sys.argv[1:] if args is None else args:
        found = (
            command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        )
        if found is None:
            break
        path, command = f"{path} {word}", found
    return path


def _json_asked_for(args: Sequence[str]) -> bool:
    """Whether a command line that may be a bad one asks for a document."""
    words = [*args[: args.index("--")]] if "--" in args else [*args]
    pairs = {*itertools.pairwise(words)}
    return bool(pairs & {("--output", "json"), ("-o", "json")} or {*words} & {"--output=json", "-ojson"})


def _stdout_failed(error: Exception) -> bool:
    """Whether `error` is of what was printed; that it can go nowhere is said, unless nobody reads it.

    What is written to a file has errors of its own, which name it.
    """
    if isinstance(error, OSError) and error.filename is None and error.errno in _NOWHERE:
        print(f"gfattach: stdout cannot be written: {os.strerror(error.errno).lower()}", file=sys.stderr)
        return True
    return isinstance(error, BrokenPipeError)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line; the process's exit code. Nothing escapes as a traceback."""
    try:
        outcome: Any = cli.main(args=args, prog_name="gfattach", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = _command_of(args) if context is None else context.command_path
        fact, *hints = _usage_lines(error.format_message())
        if isinstance(error, click.NoSuchOption) and where == "gfattach":
            hints.append(f"options of a command stand behind it: gfattach COMMAND {error.option_name}")
        return _failed(UsageError(fact, *hints, f"see: {where} --help"), where, args)
    except GfattachError as error:
        word = next(iter(sys.argv[1:] if args is None else args), "")
        return _failed(error, f"gfattach {word}" if word in COMMANDS else "", args)
    except (KeyboardInterrupt, click.Abort):
        print("gfattach: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Exception as error:
        if _stdout_failed(error):
            # Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.FAILED
        if os.environ.get(DEBUG_VARIABLE):
            raise
        print(redact(f"gfattach: a defect of gfattach: {type(error).__name__}: {error}"), file=sys.stderr)
        print(f"  please report it with what {DEBUG_VARIABLE}=1 shows besides", file=sys.stderr)
        return ExitCode.FAILED
