"""`gfattach doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gfattach.attach.model.options import ClientOptions
from gfattach.cli.execute import OUTPUTS, Outcome, execute
from gfattach.cli.options import client_options, site_options
from gfattach.cli.recording import note_options, report_option
from gfattach.cli.sections import SectionedCommand, option
from gfattach.core.engine import Run
from gfattach.core.errors import UsageError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=SectionedCommand)
@option("Questions", "--only", metavar="NAME", multiple=True, help="Only this stage, probe or code.")
@option("Questions", "--skip", metavar="NAME", multiple=True, help="All but this stage or probe.")
@option("Questions", "--deep", is_flag=True, help="Start a Bazel, too, and ask it everything.")
@option("Questions", "--strict", is_flag=True, help="End with 1 for a warning, too.")
@option(
    "Questions",
    "--list",
    "listed",
    is_flag=True,
    help="List every probe with its question; with -v every code that it can answer with.",
)
@site_options
@client_options
@note_options
@option("Notes", "--from", "recorded", type=_FILE, metavar="RUN.json", help="Ask nothing: show that run.")
@option(
    "Output",
    "--output",
    "-o",
    type=click.Choice([*OUTPUTS, "html"]),
    default="text",
    help="text (live on a terminal), plain, json (one document), junit (XML), html (a page), "
    "github (annotations and a step summary).",
)
@report_option
@option("Output", "--verbose", "-v", is_flag=True, help="Show every finding, not only what is not well.")
@option(
    "Output",
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="The workspace; without it, the one around the current directory.",
)
@click.argument("file", type=_FILE, required=False)
@click.pass_context
def doctor(
    ctx: click.Context,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    deep: bool,
    strict: bool,
    listed: bool,
    site: dict[str, object],
    clients: ClientOptions,
    recorded: Path | None,
    output: str,
    verbose: bool,
    workspace: Path | None,
    file: Path | None,
) -> None:
    """Ask everything that can be asked, attached or not, and put the cause first. Nothing is written.

    FILE is where --output html or junit goes; without it, to stdout. Ends with 0 when it works (warnings
    too), with 1 when something failed.
    """
    from gfattach.cli.doctor import view
    from gfattach.doctor.selection import Selection, known
    from gfattach.doctor.session import SECONDS, DoctorOptions, diagnose

    if file is not None and output not in ("html", "junit"):
        raise click.UsageError("a FILE goes with --output html or --output junit", ctx)
    if listed:
        _list(output, verbose)
        return
    if recorded is not None:
        _show(ctx, recorded, output, file)
        return
    selection = Selection(only, skip)
    for word in (*only, *skip):  # the names are read for that alone: it takes its time
        if not known(word):
            raise UsageError(f"there is no stage, probe or code {word!r}", "see: gfattach doctor --list")
    options = DoctorOptions(workspace, site, clients, selection, strict, deep)

    def work(run: Run) -> Outcome:
        return view.diagnosed(diagnose(options, ctx.obj, run), run.report())

    ctx.exit(execute("doctor", output, verbose, work, seconds=SECONDS, select=selection.probes, file=file))


def _list(output: str, verbose: bool) -> None:
    from gfattach.doctor.selection import questions

    found = [*questions()]
    if output == "json":
        entries = [question.as_json() for question in found]
        click.echo(json.dumps({"schema": "gfattach.questions/1", "questions": entries}, indent=2))
        return
    width = max(len(question.probe) for question in found)
    for question in found:
        click.echo(f"{question.stage:<12} {question.probe:<{width}}  {question.question}")
        for code, meaning in question.codes.items() if verbose else ():
            click.echo(f"{'':<12} {code:<{width + 10}}  {meaning}")


def _show(ctx: click.Context, recorded: Path, output: str, file: Path | None) -> None:
    """A recorded run once more: as a page, or as its note."""
    from gfattach.core.files import write_atomic
    from gfattach.core.redact import redact
    from gfattach.doctor.notes.files import read_run, taken_as_run
    from gfattach.doctor.notes.note import markdown
    from gfattach.doctor.page import page

    document: dict[str, Any] = read_run(recorded)
    with taken_as_run(recorded):
        if output == "html":
            text = page(document)
        elif "note" in document["result"]:
            text = redact(markdown(document))
        else:
            raise UsageError(
                f"{recorded} was not kept as a note", "as a page: gfattach doctor --from FILE --output html"
            )
    if file is None:
        click.echo(text, nl=False)
    else:
        write_atomic(file, text.encode(), mode=0o644)
        click.echo(file)
