"""How findings and results read as plain text: one place for the program's voice.

A line is the fact; what matters and what to run next stand below it, indented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gfattach.core.engine import StageResult
from gfattach.core.finding import Finding, Status
from gfattach.core.redact import redact

#: Width of the column that holds stage names.
NAME_WIDTH = 12


def seconds(value: float) -> str:
    """A duration for people: two decimals below ten seconds, one above."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def stage_line(result: StageResult) -> str:
    """`ok    cache         7 of 7: grpc://127.0.0.1:9092 answers            0.04 s`."""
    return f"{result.status.value:<5} {result.name:<{NAME_WIDTH}} {stage_summary(result)}"


def stage_summary(result: StageResult) -> str:
    """What a stage found in one line: its worst finding, or its last one that says something.

    Of what was not asked the first has the reason: the others were not asked because of it.
    """
    findings = list(result.findings.values())
    worst = [finding for finding in findings if finding.status is result.status]
    if not findings:
        return f"{result.title}  ({seconds(result.seconds)})"
    counted = ""
    if len(findings) > 1:
        skipped = sum(f.status is Status.SKIP for f in findings)
        counted = f"{sum(f.status is Status.OK for f in findings)} of {len(findings)} ok"
        counted += f", {skipped} not asked · " if skipped else " · "
    shown = worst[-1] if result.status is Status.OK else worst[0]
    return f"{counted}{shown.seen}  ({seconds(result.seconds)})"


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding that is no plain pass, in full: the fact, why it matters, what to run."""
    yield f"{finding.status.value:<5} {finding.seen}  [{finding.code}]"
    yield from detail_lines(finding)


def detail_lines(finding: Finding) -> Iterator[str]:
    """What stands below a finding's fact."""
    if finding.why:
        yield f"        {finding.why}"
    for hint in finding.hints:
        for index, line in enumerate(hint.splitlines()):
            yield f"      {'>' if index == 0 else ' '} {line}"


def error_lines(fact: str, hints: Sequence[str]) -> Iterator[str]:
    """A failure that ended the command."""
    yield redact(f"gfattach: {fact}")
    for hint in hints:
        for line in redact(hint).splitlines():
            yield f"  {line}"


def headline(first_hit: Mapping[str, Any]) -> str:
    """`time to first cache hit  1.84 s   (context 0.11 · forward 0.09 · ...)`."""
    parts = " · ".join(f"{stage['name']} {stage['seconds']:.2f}" for stage in first_hit["stages"])
    return f"time to first cache hit  {seconds(first_hit['seconds'])}   ({parts})"


def size(count: int) -> str:
    """Bytes for a person: `512 B`, `1.5 MiB`."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
