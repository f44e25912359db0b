"""What a CI job on GitHub reads: annotations as workflow commands, and a step summary in Markdown.

GitHub shows ten errors and ten warnings a step and drops the rest without a word; a summary of more than
1 MiB is refused whole. So nine of a kind are shown, and how many more there are; a longer summary is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.engine import Report
from gfattach.core.errors import GfattachError
from gfattach.core.finding import Status
from gfattach.core.redact import redact
from gfattach.report.text import headline, seconds

_LEVEL = {Status.FAIL: "error", Status.WARN: "warning"}

#: Annotations of one level that are shown before a last one that counts the others.
MOST_ANNOTATIONS = 9

_COMMAND = re.compile(r"^(\s*)::", re.MULTILINE)
_OLD_COMMAND = re.compile(r"##\[")

#: Bytes of a step summary.
MOST_SUMMARY = 1024 * 1024


def workflow_commands(report: Report | None, error: GfattachError | None) -> Iterator[str]:
    """A workflow command for each failed or doubtful finding, and for the failure that ended the run."""
    annotations: dict[str, list[tuple[str, str, str]]] = {"error": [], "warning": []}
    for probe, finding in (report.findings if report else {}).items():
        level = _LEVEL.get(finding.status)
        if level is not None:
            text = "\n".join([finding.seen, *([finding.why] if finding.why else []), *finding.hints])
            annotations[level].append((_place(finding.data), f"{probe} {finding.code}", text))
    if error is not None and (report is None or report.showing(error) is None):
        annotations["error"].append(("", error.code, "\n".join([error.fact, *error.hints])))
    for level, found in annotations.items():
        for where, title, text in found[:MOST_ANNOTATIONS]:
            yield f"::{level} {where}title={_property(title)}::{_data(text)}"
        if (more := len(found) - MOST_ANNOTATIONS) > 0:
            yield f"::{level} title=gfattach::and {more} more: see the step summary"


def step_summary(
    command: str, report: Report | None, result: Mapping[str, Any], error: GfattachError | None
) -> str:
    """The Markdown for `$GITHUB_STEP_SUMMARY`."""
    lines = [f"### gfattach {command}", ""]
    if result.get("first_hit"):
        lines += [f"**{headline(result['first_hit'])}**", ""]
    if error is not None:
        shown = report is not None and report.showing(error) is not None
        lines += [f"**{_cell(error.code if shown else error.fact)}**", ""]
    if report is not None and report.stages:
        lines += ["| stage | status | time | seen |", "|---|---|---|---|"]
        for stage in report.stages:
            for finding in stage.findings.values():
                # The one finding of a step took as long as the step did.
                took = seconds(stage.seconds if len(stage.findings) == 1 else finding.seconds)
                lines.append(f"| {stage.name} | {finding.status.value} | {took} | {_cell(finding.seen)} |")
    return _cut(lines)


def harmless(text: str) -> str:
    """`text` for a job's log, where a line of others' could be a workflow command.

    The runner takes a line for a command that begins with `::` behind white space, and the older `##[`
    anywhere in a line (actions/runner, ActionCommand.cs): white space before them is no protection.
    """
    return _OLD_COMMAND.sub("# #[", _COMMAND.sub(r"\1: :", text))


def _cut(lines: list[str]) -> str:
    """The lines as far as GitHub takes them, whole, with a last one that says so where some are left out."""
    last = "… and more, which GitHub would not take"
    room = MOST_SUMMARY - len(last.encode()) - 2
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            kept += ["", last]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def _place(data: Mapping[str, Any]) -> str:
    """The properties that put an annotation at a line of a file, where a finding is about one."""
    if not {"file", "line"} <= data.keys():
        return ""
    return f"file={_property(str(data['file']))},line={data['line']},"


def _data(text: str) -> str:
    return redact(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    return redact(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
