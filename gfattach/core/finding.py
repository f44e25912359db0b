"""What a probe asks and what it answers: the nouns of every check.

A probe asks one question of a subject and returns one finding. A stage groups the
probes that are asked of the same thing. All of them are values: no probe prints,
writes, or raises for what it is there to find. The loop that runs them is
`gfattach.core.engine`; what shows them is `gfattach.report`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach.core.deadline import Deadline

Subject = TypeVar("Subject")

#: Seconds that a probe may take unless it says otherwise.
PROBE_SECONDS = 5.0


class Status(StrEnum):
    """How a finding is to be taken. A skip is never a pass; unknown is what may not be looked at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"


class Finding(Struct, frozen=True):
    """One answer.

    `code` is stable and dotted (`cache.port.refused`); `seen` is one sentence: the thing
    and what was observed; `why` says why that matters; `hints` are what to run or know
    next; `seconds` is how long the question took; `data` is JSON-able, for programs and
    for the probes that build on this one.
    """

    code: str
    status: Status
    seen: str
    why: str = ""
    hints: tuple[str, ...] = ()
    seconds: float = 0.0
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def failed(self) -> bool:
        """Whether this finding ends what depends on it."""
        return self.status is Status.FAIL

    def timed(self, seconds: float) -> Finding:
        """The same finding, with how long it took."""
        return replace(self, seconds=seconds)


def ok(code: str, seen: str, **data: Any) -> Finding:
    """A finding that all is as it should be."""
    return Finding(code, Status.OK, seen, data=data)


def warn(code: str, seen: str, why: str, *hints: str, **data: Any) -> Finding:
    """A finding that does not end the attach and that somebody should read."""
    return Finding(code, Status.WARN, seen, why, hints, data=data)


def fail(code: str, seen: str, why: str, *hints: str, **data: Any) -> Finding:
    """A finding that ends what depends on it. Give the next command as a hint."""
    return Finding(code, Status.FAIL, seen, why, hints, data=data)


def skip(code: str, reason: str, *hints: str, **data: Any) -> Finding:
    """A question that was not asked, and the reason."""
    return Finding(code, Status.SKIP, reason, hints=hints, data=data)


def unknown(code: str, seen: str, *hints: str, **data: Any) -> Finding:
    """A question that may not be answered here: `seen` names the right that is missing."""
    return Finding(code, Status.UNKNOWN, seen, hints=hints, data=data)


class Inquiry(Struct, Generic[Subject], frozen=True):
    """What a probe is given: whom it asks, until when, and what is known already.

    `findings` maps the names of the probes that it needs (and of all that ended before
    it started) to their findings.
    """

    subject: Subject
    deadline: Deadline
    findings: Mapping[str, Finding]

    def known(self, probe: str, key: str, default: Any = None) -> Any:
        """The datum `key` of an earlier probe's finding, or `default`."""
        finding = self.findings.get(probe)
        return default if finding is None else finding.data.get(key, default)


class Probe(Struct, Generic[Subject], frozen=True):
    """One question.

    `name` is dotted and unique (`cache.port`); `question` is what the checklist shows;
    `codes` names every code that `ask` can return, with its meaning (documentation is
    made from it, and the engine holds `ask` to it); `needs` are names of probes that must
    not have failed or been skipped; `seconds` is the deadline, and `longer` says for which subjects it is
    another: a person may be asked.
    """

    name: str
    question: str
    ask: Callable[[Inquiry[Subject]], Finding]
    codes: Mapping[str, str]
    needs: tuple[str, ...] = ()
    seconds: float = PROBE_SECONDS
    longer: Callable[[Subject], float] = lambda subject: 0.0

    def seconds_for(self, subject: Subject) -> float:
        """Seconds that it may take to ask `subject`."""
        return max(self.seconds, self.longer(subject))


class Stage(Struct, Generic[Subject], frozen=True):
    """Several probes of one subject. Those that do not need one another run at the same time.

    `headline` is the probe whose finding says most of a stage in which all is well.
    """

    name: str
    title: str
    probes: tuple[Probe[Subject], ...]
    headline: str = ""
