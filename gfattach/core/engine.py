"""The one loop that runs stages and steps, and accounts for the time they take.

A `Run` is a sequence of stages. The time between two stage ends belongs to the later
one, so the stages of a run add up to its wall time by construction, whatever happens
between them. Observers are told of every start and end and render it; the run itself
prints nothing.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from gfattach.core.deadline import Deadline
from gfattach.core.errors import GfattachError
from gfattach.core.finding import Finding, Probe, Stage, Status, fail
from gfattach.core.probe_runner import ask_all
from gfattach.core.terminal import Terminal

Subject = TypeVar("Subject")
Made = TypeVar("Made")


class StageResult(Struct, frozen=True):
    """What a stage found. `started` and `seconds` are measured from the run's start.

    `headline` is the probe whose finding speaks for the stage when all is well, "" for the last one.
    `beside` is what was done of it while earlier stages ran: its beginning, from the run's start, and its
    seconds, which are no part of `seconds`.
    """

    name: str
    title: str
    findings: Mapping[str, Finding]
    started: float
    seconds: float
    headline: str = ""
    beside: tuple[float, float] | None = None

    @property
    def status(self) -> Status:
        """The worst status; one that only took time is good, one in which all was skipped is skipped."""
        if not self.findings:
            return Status.OK
        statuses = {finding.status for finding in self.findings.values()}
        for status in (Status.FAIL, Status.WARN, Status.UNKNOWN, Status.OK):
            if status in statuses:
                return status
        return Status.SKIP


class Observer(Protocol):
    """What is told of a run as it goes. Called from the run's own thread only."""

    def stage_started(self, name: str, title: str, reviews: Mapping[str, str]) -> None:
        """A stage begins; `questions` maps probe names to what they ask."""

    def probe_finished(self, stage: str, probe: str, finding: Finding) -> None:
        """A probe gave its finding."""

    def progress(self, stage: str, text: str) -> None:
        """A long step says what it is doing now."""

    def stage_finished(self, result: StageResult) -> None:
        """A stage ended."""


class SilentObserver:
    """An observer that shows nothing."""

    def stage_started(self, name: str, title: str, reviews: Mapping[str, str]) -> None:
        """Nothing is shown."""

    def probe_finished(self, stage: str, probe: str, finding: Finding) -> None:
        """Nothing is shown."""

    def progress(self, stage: str, text: str) -> None:
        """Nothing is shown."""

    def stage_finished(self, result: StageResult) -> None:
        """Nothing is shown."""


class Report(Struct, frozen=True):
    """All stages of a run in order; `seconds` is its wall time so far."""

    stages: tuple[StageResult, ...]
    seconds: float

    @property
    def findings(self) -> dict[str, Finding]:
        """Every finding by the name of its probe."""
        return {name: finding for stage in self.stages for name, finding in stage.findings.items()}

    def having(self, status: Status) -> list[Finding]:
        """The findings of one status, in order."""
        return [finding for finding in self.findings.values() if finding.status is status]

    @property
    def failed(self) -> bool:
        """Whether any finding failed."""
        return bool(self.having(Status.FAIL))

    def showing(self, error: GfattachError) -> str | None:
        """The probe whose failed finding has shown what `error` says; None where none has."""
        return next(
            (probe for probe, found in self.findings.items() if found.failed and found.code == error.code),
            None,
        )


#: Shows what a long step is doing now.
Progress = Callable[[str], None]

#: A step's work: it is handed a function that shows progress, and returns its findings by name.
Step = Callable[[Progress], Mapping[str, Finding]]


#: Which probes of a stage are asked.
Select = Callable[[Stage[Any]], Iterable[Probe[Any]]]


class _Begun:
    """Probes that are asked in a thread while the run goes on."""

    def __init__(self, ask: Callable[[], Iterable[tuple[Probe[Any], Finding]]]) -> None:
        self._ask = ask
        self._answers: queue.SimpleQueue[tuple[Probe[Any], Finding] | Exception | None] = queue.SimpleQueue()
        self._started = self._ended = time.monotonic()
        threading.Thread(target=self._work, name="probes asked ahead", daemon=True).start()

    def _work(self) -> None:
        try:
            for answer in self._ask():
                self._ended = time.monotonic()
                self._answers.put(answer)
        except Exception as error:  # a defect belongs to whoever takes the findings
            self._answers.put(error)
        self._answers.put(None)

    def findings(self) -> Iterator[tuple[Probe[Any], Finding]]:
        """Every probe with its finding, as they end. The probes keep their own deadlines."""
        while (answer := self._answers.get()) is not None:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def span(self, origin: float, mark: float) -> tuple[float, float]:
        """What went on before `mark`, the end of the stage before: its beginning from `origin`, and its
        seconds.
        """
        return self._started - origin, max(0.0, min(self._ended, mark) - self._started)


class Run:
    """One going-through of stages and steps, with one clock.

    `origin` is the moment, on `time.monotonic()`, from which the run's time counts: that of
    the process's start, when the caller knows it, so that start-up is accounted for too. `deadline` bounds
    the probes of all stages together, and `select` says which of a stage's probes are asked at all.
    `terminal` is that of the run's user, for programs that may have to ask.
    """

    def __init__(
        self,
        observer: Observer | None = None,
        origin: float | None = None,
        *,
        deadline: Deadline | None = None,
        select: Select | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        self.terminal = terminal
        self.observer: Observer = observer or SilentObserver()
        self.deadline = deadline
        self._select = select
        self.origin = time.monotonic() if origin is None else origin
        self._mark = self.origin
        self._stages: list[StageResult] = []
        self._begun: dict[str, _Begun] = {}
        self._findings: dict[str, Finding] = {}

    def elapsed(self) -> float:
        """Seconds since the run's origin."""
        return time.monotonic() - self.origin

    @property
    def findings(self) -> Mapping[str, Finding]:
        """Every finding so far, by the name of its probe."""
        return self._findings

    def report(self) -> Report:
        """What was found so far."""
        return Report(tuple(self._stages), self.elapsed())

    def begin(self, stage: Stage[Subject], subject: Subject) -> None:
        """Ask the probes of `stage` from now on, beside the stages to come; `stage` of that name takes their
        findings.

        The probes may need one another, and what is known by now. What is never taken is shown to nobody.
        """
        probes = stage.probes if self._select is None else tuple(self._select(stage))
        known = dict(self._findings)
        self._begun[stage.name] = _Begun(lambda: ask_all(probes, subject, known, self.deadline))

    def stage(self, stage: Stage[Subject], subject: Subject) -> StageResult:
        """Ask every probe of `stage` that is selected, each as soon as what it needs is known.

        One that was asked beside earlier stages is waited for and not asked again.
        """
        probes = stage.probes if self._select is None else tuple(self._select(stage))
        self.observer.stage_started(stage.name, stage.title, {p.name: p.question for p in probes})
        found: dict[str, Finding] = {}
        begun = self._begun.pop(stage.name, None)
        for probe, finding in () if begun is None else begun.findings():
            found[probe.name] = finding
            self.observer.probe_finished(stage.name, probe.name, finding)
        left = [probe for probe in probes if probe.name not in found]
        for probe, finding in ask_all(left, subject, {**self._findings, **found}, self.deadline):
            found[probe.name] = finding
            self.observer.probe_finished(stage.name, probe.name, finding)
        ordered = {probe.name: found[probe.name] for probe in probes}
        beside = None if begun is None else begun.span(self.origin, self._mark)
        return self._close(stage.name, stage.title, ordered, stage.headline, beside)

    def step(self, name: str, title: str, work: Step) -> StageResult:
        """Do work that is no probing (start a server, write a fragment, run a build) as a stage.

        A `GfattachError` of the work becomes the stage's failed finding and is raised again:
        the checklist shows where the run ended, and the caller decides what that means.
        """
        return self.obtain(name, title, lambda progress: (None, work(progress)))[1]

    def obtain(
        self, name: str, title: str, work: Callable[[Progress], tuple[Made, Mapping[str, Finding]]]
    ) -> tuple[Made, StageResult]:
        """As `step`, for work that makes something as well: what it made, and the stage."""
        self.observer.stage_started(name, title, {})
        before = time.monotonic()
        try:
            made, found = work(lambda text: self.observer.progress(name, text))
        except GfattachError as error:
            finding = fail(error.code, error.fact, "", *error.hints).timed(time.monotonic() - before)
            self.observer.probe_finished(name, name, finding)
            self._close(name, title, {name: finding})
            raise
        for probe, finding in found.items():
            self.observer.probe_finished(name, probe, finding)
        return made, self._close(name, title, dict(found))

    def account(self, name: str, title: str) -> StageResult:
        """Book the time since the last stage's end under `name`: what was done outside any stage."""
        self.observer.stage_started(name, title, {})
        return self._close(name, title, {})

    def _close(
        self,
        name: str,
        title: str,
        findings: Mapping[str, Finding],
        headline: str = "",
        beside: tuple[float, float] | None = None,
    ) -> StageResult:
        now = time.monotonic()
        began, seconds = self._mark - self.origin, now - self._mark
        result = StageResult(name, title, findings, began, seconds, headline, beside)
        self._mark = now
        self._stages.append(result)
        self._findings.update(findings)
        self.observer.stage_finished(result)
        return result
