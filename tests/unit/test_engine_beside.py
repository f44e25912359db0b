"""A run that asks probes beside other stages: their findings, their time, and what is never taken."""

import threading
import time

import pytest

from gfattach.core.engine import Run, SilentObserver
from gfattach.core.finding import Probe, Stage, fail, ok
from gfattach.report.text import stage_line

CODES = {"t.ok": "it is good", "t.bad": "it is not"}


def probe(name, ask, *needs):
    return Probe(name, "?", ask, codes=CODES, needs=needs, seconds=30)


def stage(*probes, name="slow"):
    return Stage(name, "a stage", probes)


@pytest.fixture
def gate():
    """A probe that goes on when the event is set; and how often it was asked."""
    event, asked = threading.Event(), []

    def ask(inquiry):
        asked.append(inquiry.subject)
        assert event.wait(30)
        return ok("t.ok", "through the gate")

    return event, asked, ask


def test_a_probe_goes_on_beside_other_stages_and_is_not_asked_again(gate):
    event, asked, ask = gate
    run, slow = Run(), probe("slow.one", ask)
    run.begin(stage(slow), "early")
    run.step("other", "something else", lambda progress: event.set() or {})
    after = probe("slow.two", lambda inquiry: ok("t.ok", inquiry.findings["slow.one"].seen), "slow.one")
    result = run.stage(stage(slow, after), "late")
    assert asked == ["early"]
    assert {name: found.seen for name, found in result.findings.items()} == {
        "slow.one": "through the gate",
        "slow.two": "through the gate",
    }
    assert run.findings["slow.one"].seen == "through the gate"


def test_the_stages_add_up_and_what_went_on_beside_them_is_told_apart():
    def ask(inquiry):
        time.sleep(0.2)
        return ok("t.ok", "slept")

    run = Run()
    run.begin(stage(probe("slow.one", ask)), None)
    run.step("other", "something else", lambda progress: time.sleep(0.4) or {})
    result = run.stage(stage(probe("slow.one", ask)), None)
    report = run.report()
    last = report.stages[-1]
    assert sum(each.seconds for each in report.stages) == pytest.approx(last.started + last.seconds)
    assert result.beside is not None
    began, seconds = result.beside
    assert 0 <= began < 0.2 <= seconds
    # It had ended before this stage began: what it took is no part of the stage.
    assert began + seconds <= result.started
    assert "beside the stages before" in stage_line(result)


def test_what_is_needed_of_a_probe_that_failed_beside_is_skipped():
    run = Run()
    bad = probe("slow.one", lambda inquiry: fail("t.bad", "no", "why"))
    run.begin(stage(bad), None)
    result = run.stage(stage(bad, probe("slow.two", lambda inquiry: ok("t.ok", "yes"), "slow.one")), None)
    assert [found.code for found in result.findings.values()] == ["t.bad", "engine.needs"]


def test_what_nobody_takes_is_shown_to_nobody(gate):
    event, _, ask = gate
    seen = []

    class Watching(SilentObserver):
        def probe_finished(self, stage, probe, finding):
            seen.append(probe)

    run = Run(Watching())
    run.begin(stage(probe("slow.one", ask)), None)
    event.set()
    run.step("other", "something else", lambda progress: {})
    assert seen == [] and "slow.one" not in run.findings


def test_only_what_is_selected_is_asked_beside(gate):
    _, asked, ask = gate
    run = Run(select=lambda each: [])
    run.begin(stage(probe("slow.one", ask)), None)
    result = run.stage(stage(probe("slow.one", ask)), None)
    assert (asked, result.findings) == ([], {})
