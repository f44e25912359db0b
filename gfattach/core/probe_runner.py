"""Asks probes side by side, each as soon as what it needs is known, and none for longer than its time.

Probes run in daemon threads: the clients below (gRPC, sockets, child processes) block,
and a thread whose call hangs can be left behind at its deadline, where a cancelled
coroutine would wait for the call.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from gfattach.core.deadline import Deadline
from gfattach.core.finding import Finding, Inquiry, Probe, Status, fail, skip

#: Codes that the engine itself gives, in place of a probe that could not.
ENGINE_CODES: Mapping[str, str] = {
    "engine.deadline": "a probe did not answer within its deadline",
    "engine.defect": "a probe broke: a defect of gfattach, not of what it looked at",
    "engine.needs": "a probe was not asked because one that it needs did not pass",
    "engine.time": "a probe was not asked because the time for all of them was over",
}

#: Seconds beyond a probe's own deadline before its thread is left behind: the probe that keeps
#: its deadline gets to say what it saw.
GRACE_SECONDS = 0.25


def ask_all(
    probes: Iterable[Probe[Any]],
    subject: Any,
    known: dict[str, Finding],
    deadline: Deadline | None = None,
) -> Iterable[tuple[Probe[Any], Finding]]:
    """Ask the probes as their needs allow, yielding each with its finding as it ends.

    `known` has the findings of earlier stages, and is given those of this one. `deadline` is that of the
    whole run: when it is over, what has not been asked is skipped.
    """
    waiting = list(probes)
    names = {probe.name for probe in waiting}
    answers: queue.SimpleQueue[tuple[Probe[Any], Finding]] = queue.SimpleQueue()
    running: dict[str, tuple[Probe[Any], float]] = {}
    while waiting or running:
        for probe in list(waiting):
            if any(need in names and need not in known for need in probe.needs):
                continue
            waiting.remove(probe)
            reason = _unmet(probe, known)
            if reason is None and deadline is not None and deadline.expired:
                reason = skip("engine.time", "not asked: the time for all of it is over")
            if reason is not None:
                known[probe.name] = reason
                yield probe, reason
                continue
            seconds = probe.seconds_for(subject)
            whole = deadline or Deadline.after(seconds)
            inquiry = Inquiry(subject, whole.within(seconds), dict(known))
            running[probe.name] = (probe, inquiry.deadline.at + GRACE_SECONDS)
            threading.Thread(
                target=_ask, args=(probe, inquiry, answers), name=f"probe {probe.name}", daemon=True
            ).start()
        if not running:
            if waiting and not any(_ready(probe, names, known) for probe in waiting):
                raise ValueError(f"probes need one another in a circle: {sorted(p.name for p in waiting)}")
            continue
        for probe, finding in _next_answers(answers, running):
            running.pop(probe.name)
            known[probe.name] = finding
            yield probe, finding


def _ready(probe: Probe[Any], names: set[str], known: Mapping[str, Finding]) -> bool:
    return all(need not in names or need in known for need in probe.needs)


def _unmet(probe: Probe[Any], known: Mapping[str, Finding]) -> Finding | None:
    for need in probe.needs:
        finding = known.get(need)
        if finding is None:
            return skip("engine.needs", f"not asked: {need} was not asked")
        if finding.status in (Status.FAIL, Status.SKIP, Status.UNKNOWN):
            verdict = {Status.FAIL: "failed", Status.SKIP: "was skipped"}.get(finding.status, "is unknown")
            return skip("engine.needs", f"not asked: {need} {verdict}")
    return None


def _next_answers(
    answers: queue.SimpleQueue[tuple[Probe[Any], Finding]], running: Mapping[str, tuple[Probe[Any], float]]
) -> list[tuple[Probe[Any], Finding]]:
    """The next answer, or one finding for each running probe whose time is up."""
    first_end = min(end for _, end in running.values())
    try:
        while True:
            probe, finding = answers.get(timeout=max(0.0, first_end - time.monotonic()))
            if probe.name in running:  # a probe that was left behind may still answer: too late
                return [(probe, finding)]
    except queue.Empty:
        now = time.monotonic()
        return [(probe, _overdue(probe)) for probe, end in running.values() if end <= now]


def _overdue(probe: Probe[Any]) -> Finding:
    return fail(
        "engine.deadline",
        f"no answer within {probe.seconds:g} s: {probe.question}",
        "what was asked accepted the question and stayed silent",
        "run it again; if it stays silent, something between here and there drops packets",
        probe=probe.name,
    ).timed(probe.seconds)


def _ask(
    probe: Probe[Any], inquiry: Inquiry[Any], answers: queue.SimpleQueue[tuple[Probe[Any], Finding]]
) -> None:
    before = time.monotonic()
    try:
        finding = probe.ask(inquiry)
        if finding.code not in probe.codes:
            raise LookupError(f"{probe.name} returned the undeclared code {finding.code}")
    except Exception as error:  # the loop must outlive any probe; the finding names the defect
        finding = fail(
            "engine.defect",
            f"the probe {probe.name} broke: {type(error).__name__}: {error}",
            "this says nothing about what was probed",
            "please report it with the output of: gfattach --version",
        )
    answers.put((probe, finding.timed(time.monotonic() - before)))
