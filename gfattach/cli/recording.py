"""What is kept of a run besides showing it: its JSON in a file (--report), a field note (--note)."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gfattach.cli.sections import option

#: Where click's context holds what these options said.
_REPORT, _NOTE, _REMARKS = "gfattach.report", "gfattach.note", "gfattach.remarks"


def _said(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            ctx.meta[name] = value

    return keep


def report_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --report, of every command with a result."""
    return option(
        "Output",
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_said(_REPORT),
        help="Write the run as JSON there, besides.",
    )(command)


def note_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options --note and --remark, of commands whose run is worth a field note."""
    words = "Words of yours in the note."
    for name, key, metavar, about, many in (
        ("--remark", _REMARKS, "TEXT", words, True),
        ("--note", _NOTE, "TITLE", "Keep the run as a note in docs/field-notes of the workspace.", False),
    ):
        command = option(
            "Notes", name, metavar=metavar, multiple=many, expose_value=False, callback=_said(key), help=about
        )(command)
    return command


def wanted() -> bool:
    """Whether anything of this run is kept."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return False
    if _REMARKS in ctx.meta and _NOTE not in ctx.meta:
        raise click.UsageError("--remark goes with --note", ctx)
    return _REPORT in ctx.meta or _NOTE in ctx.meta


def record(document: Mapping[str, Any]) -> Iterator[str]:
    """Keep the document as was asked for; a line for each file. Raises StorageError."""
    from gfattach.core.files import write_atomic

    ctx = click.get_current_context()
    if (file := ctx.meta.get(_REPORT)) is not None:
        write_atomic(file, f"{json.dumps(document, indent=2)}\n".encode(), mode=0o644)
        yield f"recorded: {file}"
    if (title := ctx.meta.get(_NOTE)) is not None:
        from gfattach.doctor.notes.keep import keep_note

        remarks, workspace = ctx.meta.get(_REMARKS, ()), ctx.params.get("workspace")
        path = keep_note(document, title, remarks, replay(sys.argv[1:]), ctx.obj, workspace)
        yield f"noted: {path}"


#: Options of a run's record, which a replay does without; each has a value.
_KEEPING = ("--note", "--remark", "--report")


def replay(words: Sequence[str]) -> str:
    """The command to run again, from the arguments of this one: without what is only kept of it."""
    left: list[str] = []
    arguments = iter(words)
    for argument in arguments:
        if argument in _KEEPING:
            next(arguments, None)
        elif not argument.startswith(tuple(f"{name}=" for name in _KEEPING)):
            left.append(argument)
    return shlex.join(["gfattach", *left])
