"""`gfattach contract`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, output_options

if TYPE_CHECKING:
    from gfattach.attach.environment import Judgement


@click.command()
@click.option("--strict", is_flag=True, help="Apply what the field's strict recipes demand besides.")
@click.option(
    "--script-compat",
    is_flag=True,
    help="End with 1 where the field's scripts end with 1, and not with 3.",
)
@output_options
@click.pass_context
def contract(
    ctx: click.Context, strict: bool, script_compat: bool, workspace: Path | None, verbose: bool, output: str
) -> None:
    """Say what the environment contract says of this shell.

    Ends with 0 when it is accepted and with 3 when it is refused. The last line is
    `Status: MODE`. Values of secrets are never shown.
    """
    from gfattach.attach.environment import judge

    found: list[Judgement] = []

    def work(run: object) -> Outcome:
        found.append(judge(workspace, ctx.obj, strict=strict))
        verdict, hazards = found[0].verdict, found[0].hazards
        warnings = [{"code": h.code, "seen": h.seen, "why": h.why, "hints": list(h.hints)} for h in hazards]
        return Outcome(verdict.exit_code, {**verdict.record(), "hazards": warnings}, [*_lines(found[0])])

    code = execute("contract", output, verbose, work)
    ctx.exit(found[0].verdict.script_exit_code if script_compat and found else code)


def _lines(judgement: Judgement) -> Iterator[str]:
    from gfattach.report.text import finding_lines

    for reason in judgement.verdict.reasons:
        yield f"refused  {reason.seen}  [{reason.code}]"
        yield f"        {reason.why}"
        yield from (f"      > {hint}" for hint in reason.hints)
    for hazard in judgement.hazards:
        yield from finding_lines(hazard)
    yield "accepted" if judgement.verdict.accepted else "not accepted"
    yield judgement.verdict.status_line
