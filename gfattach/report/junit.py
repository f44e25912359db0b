"""JUnit XML of a run: what every CI system shows. One suite a stage, one case a probe.

JUnit knows pass, failure, error and skipped. A warning is a passed case whose `system-out` says it: a CI job
that turned red for warnings would be asked to be silenced. A question that could not be asked for want of a
right (unknown) is skipped with its reason.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as etree

from gfattach import __version__
from gfattach.core.engine import Report, StageResult
from gfattach.core.errors import GfattachError
from gfattach.core.finding import Finding, Status
from gfattach.core.redact import redact

#: What XML 1.0 cannot hold: control characters, the colours of other programs' messages among them.
_ILLEGAL = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(command: str, report: Report, error: GfattachError | None = None) -> str:
    """The document. An `error` that no finding has shown is a case of its own, in error."""
    root = etree.Element("testsuites", {"name": f"gfattach {command}", "time": f"{report.seconds:.3f}"})
    for stage in report.stages:
        _suite(root, stage)
    if error is not None and report.showing(error) is None:
        suite = etree.SubElement(root, "testsuite", {"name": command, "tests": "1", "errors": "1"})
        case = etree.SubElement(suite, "testcase", {"classname": "gfattach", "name": error.code, "time": "0"})
        text = "\n".join([error.fact, *error.hints])
        etree.SubElement(case, "error", {"message": _text(error.fact), "type": error.code}).text = _text(text)
    etree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(root, encoding="unicode") + "\n"


def _suite(root: etree.Element, stage: StageResult) -> None:
    findings = stage.findings
    skipped = sum(finding.status in (Status.SKIP, Status.UNKNOWN) for finding in findings.values())
    suite = etree.SubElement(
        root,
        "testsuite",
        {
            "name": stage.name,
            "tests": str(len(findings)),
            "failures": str(sum(finding.failed for finding in findings.values())),
            "errors": "0",
            "skipped": str(skipped),
            "time": f"{stage.seconds:.3f}",
        },
    )
    properties = etree.SubElement(suite, "properties")
    etree.SubElement(properties, "property", {"name": "gfattach", "value": __version__})
    for probe, finding in findings.items():
        _case(suite, stage.name, probe, finding)


def _case(suite: etree.Element, stage: str, probe: str, finding: Finding) -> None:
    attributes = {"classname": f"gfattach.{stage}", "name": probe, "time": f"{finding.seconds:.3f}"}
    case = etree.SubElement(suite, "testcase", attributes)
    text = _text("\n".join([finding.seen, *([finding.why] if finding.why else []), *finding.hints]))
    if finding.status is Status.FAIL:
        failure = {"message": _text(finding.seen), "type": finding.code}
        etree.SubElement(case, "failure", failure).text = text
    elif finding.status in (Status.SKIP, Status.UNKNOWN):
        etree.SubElement(case, "skipped", {"message": _text(finding.seen)})
    elif finding.status is Status.WARN:
        etree.SubElement(case, "system-out").text = f"warning [{finding.code}] {text}"


def _text(text: str) -> str:
    return redact(_ILLEGAL.sub("", text))
