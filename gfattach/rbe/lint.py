"""`gfattach rbe lint`: every fault of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.core.context import Context
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, ok
from gfattach.rbe.manifest.read import find_manifest, lint_file


class Linted(Struct, frozen=True):
    """The file that was looked at, and how many faults it has; what is only doubtful does not count."""

    path: Path
    faults: int


def lint_manifest(file: Path | None, workspace: Path | None, context: Context, run: Run) -> Linted:
    """Look at `file`, or at the manifest of the workspace. Raises UsageError and StorageError."""
    path = file
    if path is None:
        path = find_manifest(None, context.home(workspace).workspace)
    findings = lint_file(path)

    def work(progress: object) -> Mapping[str, Finding]:
        if not findings:
            return {"rbe.lint": ok("rbe.lint.good", f"{path} has no fault")}
        return {f"rbe.lint {number}": finding for number, finding in enumerate(findings, 1)}

    run.step("lint", "check the eligibility manifest", work)
    return Linted(path, sum(finding.failed for finding in findings))
