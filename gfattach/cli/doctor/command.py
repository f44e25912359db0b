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
@option("Questions", "--list", "listed", is_flag=True, help="List every probe with its question.")
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
    from gfattach.doctor.selection import Selection
    from gfattach.doctor.session import SECONDS, DoctorOptions, diagnose, questions

    if file is not None and output not in ("html", "junit"):
        raise click.UsageError("a FILE goes with --output html or --output junit", ctx)
    if listed:
        _list(output, [*questions()])
        return
    if recorded is not None:
        _show(ctx, recorded, output, file)
        return
    selection = Selection(only, skip)
    _known(selection.only, selection.skip, [*questions()])
    options = DoctorOptions(workspace, site, clients, selection, strict, deep)

    def work(run: Run) -> Outcome:
        return view.diagnosed(diagnose(options, ctx.obj, run), run.report())

    ctx.exit(execute("doctor", output, verbose, work, seconds=SECONDS, select=selection.probes, file=file))


def _known(only: tuple[str, ...], skip: tuple[str, ...], found: list[tuple[str, str, str]]) -> None:
    """Raise UsageError for a word that is the name of nothing."""
    from gfattach.doctor.selection import known

    for word in (*only, *skip):
        if not known(word, found):
            raise UsageError(f"there is no stage, probe or code {word!r}", "see: gfattach doctor --list")


def _list(output: str, found: list[tuple[str, str, str]]) -> None:
    if output == "json":
        entries = [{"stage": stage, "probe": probe, "question": asked} for stage, probe, asked in found]
        click.echo(json.dumps({"schema": "gfattach.questions/1", "questions": entries}, indent=2))
        return
    width = max(len(probe) for _, probe, _ in found)
    for stage, probe, asked in found:
        click.echo(f"{stage:<12} {probe:<{width}}  {asked}")


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
