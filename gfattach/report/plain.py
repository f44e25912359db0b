"""The checklist off a terminal: a line for each stage as it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from gfattach.core.engine import StageResult
from gfattach.core.finding import Finding
from gfattach.core.redact import redact
from gfattach.report.text import SHOWN, detail_lines, finding_lines, stage_line


class PlainObserver:
    """Writes to `stream` (stderr, as a rule) a line for a stage, and more for what is not well.

    `verbose` shows every finding; `clean` makes a line harmless to who reads the stream.
    """

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clean: Callable[[str], str] = redact
    ) -> None:
        self.stream = stream
        self.clean = clean
        self.verbose = verbose

    def paused(self) -> AbstractContextManager[None]:
        """Nothing is drawn here while another program has the terminal."""
        return nullcontext()

    def stage_started(self, name: str, title: str, reviews: Mapping[str, str]) -> None:
        """Nothing: the line comes when there is something to say."""

    def probe_finished(self, stage: str, probe: str, finding: Finding) -> None:
        """Nothing: shown with its stage."""

    def progress(self, stage: str, text: str) -> None:
        """What a long step is doing now."""
        self._line(f"      {stage}: {text}")

    def stage_finished(self, result: StageResult) -> None:
        """The stage's line, and its findings where they matter."""
        self._line(stage_line(result))
        findings = list(result.findings.values())
        for finding in findings:
            if len(findings) == 1:
                lines = detail_lines(finding)
            elif finding.status in SHOWN or self.verbose:
                lines = (f"      {line}" for line in finding_lines(finding))
            else:
                continue
            for line in lines:
                self._line(line)

    def close(self) -> None:
        """Nothing is held open."""

    def _line(self, text: str) -> None:
        print(self.clean(text), file=self.stream, flush=True)
