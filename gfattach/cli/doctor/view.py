"""A diagnosis in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gfattach.cli.execute import Outcome

if TYPE_CHECKING:
    from gfattach.core.engine import Report
    from gfattach.doctor.session import Diagnosis


def diagnosed(found: Diagnosis, report: Report) -> Outcome:
    """The causes, each with what follows from it; the last line is one sentence."""
    return Outcome(found.exit_code, found.as_json(), [*_lines(found, report)])


def _lines(found: Diagnosis, report: Report) -> Iterator[str]:
    for root in found.verdict.roots:
        finding = report.findings[root]
        yield f"{finding.status.value:<5} {finding.code}"
        follows = [probe for probe, cause in found.verdict.folded if cause == root]
        if follows:
            yield f"      from this follows: {', '.join(report.findings[probe].code for probe in follows)}"
    yield found.verdict.sentence
