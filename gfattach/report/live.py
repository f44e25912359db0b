"""The checklist on a terminal: it shows what is asked now, and settles line by line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from gfattach.core.engine import StageResult
from gfattach.core.finding import Finding, Status
from gfattach.core.redact import redact
from gfattach.report.text import NAME_WIDTH, SHOWN, detail_lines, finding_lines, stage_summary

_MARKS = {
    Status.OK: ("✓", "green"),
    Status.WARN: ("!", "yellow"),
    Status.FAIL: ("✗", "red"),
    Status.SKIP: ("-", "dim"),
    Status.UNKNOWN: ("?", "magenta"),
}


class LiveObserver:
    """Draws on the terminal behind `stream`: a spinner line for the stage under way, fixed lines above."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self.console = Console(file=stream, highlight=False)
        self.verbose = verbose
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._started = 0.0
        self._title = ""
        self._open: dict[str, str] = {}

    def stage_started(self, name: str, title: str, reviews: Mapping[str, str]) -> None:
        """A line with a spinner for the stage."""
        self._title = f"{name:<{NAME_WIDTH}} {title}"
        self._open = dict(reviews)
        self._started = time.monotonic()
        if self._live is None:
            self._live = Live(
                self._spinner,
                console=self.console,
                transient=True,
                refresh_per_second=12,
                redirect_stdout=False,
            )
            self._live.start()
        self._show()

    def probe_finished(self, stage: str, probe: str, finding: Finding) -> None:
        """One question fewer on the spinner's line."""
        self._open.pop(probe, None)
        self._show()

    def progress(self, stage: str, text: str) -> None:
        """What a long step is doing now."""
        self._show(text)

    def stage_finished(self, result: StageResult) -> None:
        """The settled line, and below it what matters."""
        mark, style = _MARKS[result.status]
        line = redact(f"{result.name:<{NAME_WIDTH}} {stage_summary(result)}")
        self.console.print(Text.assemble((f"{mark} ", style), line), soft_wrap=True)
        findings = list(result.findings.values())
        for finding in findings:
            if len(findings) == 1:
                lines = list(detail_lines(finding))
            elif finding.status in SHOWN or self.verbose:
                lines = [f"    {text}" for text in finding_lines(finding)]
            else:
                continue
            for text in lines:
                self.console.print(Text(redact(text), style=_MARKS[finding.status][1]), soft_wrap=True)

    def close(self) -> None:
        """Take the spinner away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Draw nothing meanwhile: another program has the terminal."""
        live = self._live
        if live is not None:
            live.stop()
        try:
            yield
        finally:
            if live is not None and live is self._live:
                live.start()

    def _show(self, doing: str = "") -> None:
        text = doing or next(iter(self._open.values()), "")
        self._spinner.update(text=Text(redact(f"{self._title}{' · ' if text else ''}{text}")))
