"""What every command does around its work: choose how to show it, run it, render what came of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import click
from msgspec import Struct, field

from gfattach.cli import recording
from gfattach.cli.interrupts import end_as_interrupted
from gfattach.cli.sections import option
from gfattach.cli.streams import can_draw
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Observer, Report, Run, Select
from gfattach.core.errors import ExitCode, GfattachError
from gfattach.core.redact import redact
from gfattach.core.terminal import standard_terminal

OUTPUTS = ("text", "plain", "json", "github", "junit")


class Outcome(Struct, frozen=True):
    """How a command's work ended: the exit code, its part of the document, and its lines on stdout."""

    exit_code: ExitCode = ExitCode.GOOD
    result: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()


class _Closable(Observer, Protocol):
    def close(self) -> None: ...

    def paused(self) -> AbstractContextManager[None]: ...


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command with a result that is of a workspace: --output, --verbose, --workspace."""
    workspace = option(
        "Output",
        "--workspace",
        type=click.Path(path_type=Path, file_okay=False),
        help="The workspace; without it, the one around the current directory.",
    )
    return result_options(workspace(command))


def result_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command with a result has: --output, --verbose."""
    command = recording.report_option(command)
    for decorate in (
        option(
            "Output", "--verbose", "-v", is_flag=True, help="Show every finding, not only what is not well."
        ),
        option(
            "Output",
            "--output",
            "-o",
            type=click.Choice(OUTPUTS),
            default="text",
            help="text (live on a terminal), plain, json (one document), junit (XML), "
            "github (annotations and a step summary).",
        ),
    ):
        command = decorate(command)
    return command


def execute(
    command: str,
    output: str,
    verbose: bool,
    work: Callable[[Run], Outcome],
    *,
    seconds: float | None = None,
    select: Select | None = None,
    file: Path | None = None,
) -> int:
    """Run `work` as `command` and render it as `output` asks; the exit code.

    stdout is the result, stderr is progress and diagnosis. What a KeyboardInterrupt is given are hints.
    `seconds` bound the probes of all stages together, `select` says which are asked; `file` takes the
    document of outputs that people open (html, junit) instead of stdout. Raises StorageError.
    """
    end_as_interrupted()
    kept = recording.wanted()
    observer = _observer(output, verbose)
    run = Run(
        observer,
        origin=process_origin(),
        deadline=None if seconds is None else Deadline.after(seconds),
        select=select,
        terminal=standard_terminal(observer.paused),
    )
    outcome, error = Outcome(), None
    try:
        outcome = work(run)
    except GfattachError as caught:
        error, outcome = caught, Outcome(caught.exit_code)
    except KeyboardInterrupt as interrupt:
        error = GfattachError("interrupted", *map(str, interrupt.args), code="interrupted")
        outcome = Outcome(ExitCode.INTERRUPTED)
    finally:
        observer.close()
    _render(command, output, run.report(), outcome, error, file)
    if kept:
        try:
            for line in recording.record(_document(command, run.report(), outcome, error)):
                print(line, file=sys.stderr)
        except GfattachError as unkept:  # stdout has its document by now
            from gfattach.report.text import error_lines

            for line in error_lines(unkept.fact, unkept.hints):
                print(line, file=sys.stderr)
            return unkept.exit_code
    return outcome.exit_code


def _document(command: str, report: Report, outcome: Outcome, error: GfattachError | None) -> dict[str, Any]:
    from gfattach.report.document import document

    return document(command, report, outcome.exit_code, outcome.result, error)


def _show(text: str, file: Path | None) -> None:
    """A document that people open: into `file`, which is named then, or to stdout."""
    from gfattach.core.files import write_atomic

    if file is None:
        print(text, end="")
    else:
        write_atomic(file, text.encode(), mode=0o644)
        print(file)


def process_origin() -> float:
    """The moment at which this process began, on `time.monotonic()`; now, where the system does not tell.

    Linux counts it in ticks since boot (proc(5), field 22), 10 ms each as a rule.
    """
    now = time.monotonic()
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return now
    return now - age if 0 <= age < 3600 else now


def _observer(output: str, verbose: bool) -> _Closable:
    drawn = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and can_draw(sys.stderr)
    if output == "text" and drawn:
        from gfattach.report.live import LiveObserver

        return LiveObserver(sys.stderr, verbose=verbose)
    from gfattach.report.plain import PlainObserver

    return PlainObserver(sys.stderr, verbose=verbose, clean=_filter(output))


def _filter(output: str) -> Callable[[str], str]:
    """What every line goes through: a CI job's log on GitHub reads commands out of lines."""
    if output != "github":
        return redact
    from gfattach.report.github import harmless

    return lambda text: harmless(redact(text))


def _render(
    command: str,
    output: str,
    report: Report,
    outcome: Outcome,
    error: GfattachError | None,
    file: Path | None,
) -> None:
    from gfattach.report.text import error_lines

    if output == "json":
        print(json.dumps(_document(command, report, outcome, error), indent=2))
    elif output == "junit":
        from gfattach.report.junit import junit

        _show(junit(command, report, error), file)
    elif output == "html":
        from gfattach.doctor.page import page

        _show(page(_document(command, report, outcome, error)), file)
    else:
        clean = _filter(output)
        for line in outcome.lines:
            print(clean(line))
    if error is not None:
        probe = report.showing(error)
        if probe is None:
            lines = [*error_lines(error.fact, error.hints)]
        else:  # the checklist has shown the cause with its hints
            shown = report.findings[probe].hints
            more = [hint for hint in error.hints if hint not in shown]
            lines = [*error_lines(f"{command} ended at {probe}  [{error.code}]", more)]
        for line in lines:
            print(line, file=sys.stderr)
    if output == "github":
        from gfattach.core.files import storage_error
        from gfattach.report.github import step_summary, workflow_commands

        for line in workflow_commands(report, error):
            print(line)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            try:
                with Path(summary).open("a", encoding="utf-8") as opened:
                    opened.write(step_summary(command, report, outcome.result, error))
            except OSError as failure:
                raise storage_error("write", Path(summary), failure) from failure
    sys.stdout.flush()
