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

#: What is shown in full below its stage without being asked for.
SHOWN = (Status.WARN, Status.FAIL, Status.UNKNOWN)


def seconds(value: float) -> str:
    """A duration for people: two decimals below ten seconds, one above."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def stage_line(result: StageResult) -> str:
    """`ok    cache         7 of 7: grpc://127.0.0.1:9092 answers            0.04 s`."""
    return f"{result.status.value:<5} {result.name:<{NAME_WIDTH}} {stage_summary(result)}"


def stage_summary(result: StageResult) -> str:
    """What a stage found in one line: how many findings are good, and what is not shown below it anyway.

    A warning or a failure among several findings stands below in full, so the line only counts. Of what
    was skipped the first has the reason: the others were skipped because of it.
    """
    findings = list(result.findings.values())
    took = seconds(result.seconds)
    if result.beside is not None and result.beside[1] >= 0.005:
        took += f" after {seconds(result.beside[1])} beside the stages before"
    if not findings:
        return f"{result.title}  ({took})"
    if len(findings) == 1:
        return f"{findings[0].seen}  ({took})"
    skipped = sum(finding.status is Status.SKIP for finding in findings)
    parts = [f"{sum(finding.status is Status.OK for finding in findings)} of {len(findings)} ok"]
    parts += [f"{skipped} skipped"] if skipped else []
    unknown = sum(finding.status is Status.UNKNOWN for finding in findings)
    parts += [f"{unknown} unknown"] if unknown else []
    counted = ", ".join(parts)
    if result.status in SHOWN:
        return f"{counted}  ({took})"
    return f"{counted} · {_speaker(result).seen}  ({took})"


def _speaker(result: StageResult) -> Finding:
    """The finding that says most of a stage that is good or was skipped."""
    shown = [finding for finding in result.findings.values() if finding.status is result.status]
    if result.status is Status.SKIP:
        return shown[0]
    headline = result.findings.get(result.headline)
    return headline if headline is not None and headline.status is Status.OK else shown[-1]


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
    """Bytes for a user: `512 B`, `1.5 MiB`."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
