"""`gfattach rbe coverage`: find evidence, verify it, and make the table of what holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from gfattach.core.context import Context
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.quote import word
from gfattach.rbe.coverage.table import Row, make_table
from gfattach.rbe.evidence.store import Kept, evidence_home, find_evidence
from gfattach.rbe.evidence.verify import verify_evidence


class Coverage(Struct, frozen=True):
    """The table, and how much evidence it was made from and without."""

    rows: tuple[Row, ...]
    used: int
    left_out: int


def make_coverage(
    places: Sequence[Path], workspace: Path | None, days: float, context: Context, run: Run
) -> Coverage:
    """The table of all evidence at `places`, or of what was proved of the workspace here.

    What does not hold is left out, and said. Raises UsageError for a place that is not there, StorageError.
    """
    own = evidence_home(context.home(workspace))
    found = list(find_evidence(places or ([own] if own.exists() else [])))
    made: list[Coverage] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        good: list[Kept] = []
        findings: dict[str, Finding] = {}
        for kept in found:
            progress(f"verifying {kept.path}")
            if (fault := _fault(kept)) is None:
                good.append(kept)
            else:
                why = "a table of evidence has no place for what does not hold"
                again = f"see what speaks against it: gfattach rbe verify {word(kept.path.parent)}"
                findings[str(kept.path)] = warn("rbe.coverage.unusable", fault, why, again)
        rows = make_table(good, datetime.now(UTC), timedelta(days=days))
        made.append(Coverage(rows, len(good), len(found) - len(good)))
        for row in rows:
            if row.stale:
                seen = f"the evidence of {row.language} is older than {days:g} days"
                again = "prove it again: gfattach rbe prove"
                why = "toolchains and workers change"
                findings[row.language] = warn("rbe.coverage.stale", seen, why, again)
        known = sum(row.known for row in rows)
        seen = f"{known} of {len(rows)} languages have evidence, out of {len(good)} proofs"
        return {**findings, "rbe.coverage": ok("rbe.coverage.made", seen)}

    run.step("coverage", "make the table from evidence", work)
    return made[0]


def _fault(kept: Kept) -> str | None:
    """Why evidence cannot be used; None where it holds."""
    if kept.fault:
        return kept.fault
    verified = verify_evidence(kept.path)
    failed = [finding for finding in verified.findings if finding.failed]
    return f"{kept.path}: {failed[0].seen}" if failed else None
