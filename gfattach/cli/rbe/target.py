"""`gfattach rbe target`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.rbe.options import evidence_option, manifest_option
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.core.engine import Run
    from gfattach.rbe.target import TargetReport


@click.command()
@click.argument("label", required=False)
@manifest_option
@click.option("--allow-candidate", is_flag=True, help="End with 0 for a candidate too.")
@click.option(
    "--script-compat", is_flag=True, help="End as the organisation's script does: 1 for all that is no 0."
)
@click.option("--bazel", metavar="PROGRAM", help="The Bazel to ask; BAZEL_BIN, bazelisk or bazel without it.")
@evidence_option
@output_options
@click.pass_context
def target(
    ctx: click.Context,
    label: str | None,
    manifest: Path | None,
    allow_candidate: bool,
    script_compat: bool,
    bazel: str | None,
    evidence: tuple[Path, ...],
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Say what the manifest says of LABEL, or of the class of that name, and of nothing else.

    Ends with 0 for proved, 4 for a candidate, 3 for blocked, 1 for what is not listed. Without a LABEL, or
    with --workspace, Bazel is asked which targets there are, and those that no class names are shown.
    """
    from gfattach.rbe.target import TargetOptions, ask_target

    options = TargetOptions(workspace, manifest, label, workspace is not None, bazel, evidence)

    def work(run: Run) -> Outcome:
        return _view(ask_target(options, ctx.obj, run), allow_candidate=allow_candidate)

    code = execute("rbe target", output, verbose, work)
    refused = (ExitCode.UNPROVED, ExitCode.REFUSED)
    ctx.exit(ExitCode.FAILED if script_compat and code in refused else code)


def _view(report: TargetReport, *, allow_candidate: bool) -> Outcome:
    code = ExitCode.GOOD if report.answer is None else report.answer.exit_code
    if allow_candidate and code is ExitCode.UNPROVED:
        code = ExitCode.GOOD
    return Outcome(code, report.as_json(), [*_answer_lines(report), *_target_lines(report)])


def _answer_lines(report: TargetReport) -> Iterator[str]:
    answer = report.answer
    if answer is None:
        return
    found = answer.found
    of = "" if found is None or answer.is_class else f", in the class {found.name}"
    yield f"{answer.asked}: {answer.standing.value}{of}  ({report.manifest.path}, {report.manifest.platform})"
    if found is not None:
        for title, lines in (
            ("blocked by", found.blockers),
            ("allowed", found.allowed_modes),
            ("requires", found.requirements),
            ("a proof needs", found.proof_required),
        ):
            yield from (f"  {title}: {line}" for line in lines)
        if found.boundary:
            yield f"  boundary: {found.boundary}"
        if answer.is_class:
            yield from (f"  label: {label}" for label in found.labels)
    if report.missing:
        yield "missing for promotion, which is an operator's to do:"
        yield from (f"  - {line}" for line in report.missing)
    yield from (f"hint: {hint}" for hint in answer.hints)


def _target_lines(report: TargetReport) -> Iterator[str]:
    if report.listed is None:
        return
    for label, standing in report.listed.items():
        if label not in report.unnamed:
            yield f"{standing:<10} {label}"
    counted = f"{len(report.unnamed)} of {len(report.listed)} targets are in no class"
    yield f"{counted}:" if report.unnamed else counted
    yield from (f"  {label}" for label in report.unnamed)
