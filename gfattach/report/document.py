"""The one JSON document that every command can print: `docs/schema/report-v1.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gfattach import __version__
from gfattach.core.engine import Report, StageResult
from gfattach.core.errors import GfattachError
from gfattach.core.finding import Finding
from gfattach.core.redact import redacted

SCHEMA = "gfattach.report/1"


def document(
    command: str,
    report: Report | None,
    exit_code: int,
    result: Mapping[str, Any] | None = None,
    error: GfattachError | None = None,
) -> dict[str, Any]:
    """The document of one command: what it found, what it did, how it ended.

    `result` is the command's own part. Times are seconds; a stage's `started` counts from
    the start of the process.
    """
    made = {
        "schema": SCHEMA,
        "gfattach": __version__,
        "command": command,
        "exit_code": int(exit_code),
        "seconds": None if report is None else round(report.seconds, 4),
        "error": None if error is None else error_object(error, report),
        "stages": [] if report is None else [stage_object(stage) for stage in report.stages],
        "result": {} if result is None else dict(result),
    }
    shown: dict[str, Any] = redacted(made)
    return shown


def stage_object(stage: StageResult) -> dict[str, Any]:
    """A stage as JSON."""
    beside = stage.beside
    return {
        "name": stage.name,
        "title": stage.title,
        "status": stage.status.value,
        "started": round(stage.started, 4),
        "seconds": round(stage.seconds, 4),
        "beside": None
        if beside is None
        else {"started": round(beside[0], 4), "seconds": round(beside[1], 4)},
        "findings": [finding_object(name, finding) for name, finding in stage.findings.items()],
    }


def finding_object(probe: str, finding: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "probe": probe,
        "code": finding.code,
        "status": finding.status.value,
        "seen": finding.seen,
        "why": finding.why,
        "hints": list(finding.hints),
        "seconds": round(finding.seconds, 4),
        "data": dict(finding.data),
    }


def error_object(error: GfattachError, report: Report | None = None) -> dict[str, Any]:
    """A failure as JSON; `probe` is the one whose finding is the same failure, with why and data."""
    probe = None if report is None else report.showing(error)
    return {"code": error.code, "fact": error.fact, "hints": list(error.hints), "probe": probe}
