"""The engine: what runs at the same time, what is not asked, what a hang becomes, where time goes."""

import threading
import time

import pytest

from gfattach.core import probe_runner
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.errors import StorageError
from gfattach.core.finding import Finding, Probe, Stage, Status, fail, ok, skip
from gfattach.core.probe_runner import ENGINE_CODES

CODES = {"t.good": "good", "t.bad": "bad", "t.none": "not asked"}


def probe(name, ask, needs=(), seconds=5.0):
    return Probe(name, f"{name}?", ask, CODES, needs, seconds)


def stage(*probes):
    return Stage("t", "a stage", probes)


def good(inquiry):
    return ok("t.good", "good", answer=42)


def test_a_stage_gives_a_finding_for_each_probe_in_the_order_of_the_stage():
    result = Run().stage(stage(probe("t.b", good, needs=("t.a",)), probe("t.a", good)), None)
    assert list(result.findings) == ["t.b", "t.a"]
    assert result.status is Status.OK


def test_probes_that_do_not_need_one_another_run_at_the_same_time():
    """Two probes that each wait for the other can only both end when they run together."""
    meeting = threading.Barrier(2, timeout=5)

    def meet(inquiry):
        meeting.wait()
        return ok("t.good", "met")

    result = Run().stage(stage(probe("t.a", meet), probe("t.b", meet)), None)
    assert [f.status for f in result.findings.values()] == [Status.OK, Status.OK]


def test_a_probe_reads_the_data_of_the_probes_that_it_needs():
    seen = []

    def reader(inquiry):
        seen.append((inquiry.subject, inquiry.known("t.a", "answer"), inquiry.known("t.z", "answer", "none")))
        return ok("t.good", "read")

    Run().stage(stage(probe("t.a", good), probe("t.b", reader, needs=("t.a",))), "subject")
    assert seen == [("subject", 42, "none")]


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [(fail("t.bad", "bad", "it matters"), "failed"), (skip("t.none", "no reason"), "was skipped")],
)
def test_a_probe_whose_need_did_not_pass_is_skipped_with_the_reason(finding, verdict):
    asked = []
    probes = stage(
        probe("t.a", lambda inquiry: finding),
        probe("t.b", lambda inquiry: asked.append(1) or ok("t.good", ""), needs=("t.a",)),
        probe("t.c", lambda inquiry: asked.append(1) or ok("t.good", ""), needs=("t.b",)),
    )
    found = Run().stage(probes, None).findings
    assert asked == []
    assert (found["t.b"].status, found["t.b"].code) == (Status.SKIP, "engine.needs")
    assert found["t.b"].seen == f"not asked: t.a {verdict}"
    assert found["t.c"].seen == "not asked: t.b was skipped"


def test_needs_may_be_probes_of_an_earlier_stage():
    run = Run()
    run.stage(stage(probe("t.a", lambda inquiry: fail("t.bad", "bad", ""))), None)
    later = Stage("u", "later", (probe("u.a", good, needs=("t.a",)),))
    assert run.stage(later, None).findings["u.a"].code == "engine.needs"


def test_a_hang_becomes_a_finding_and_the_others_are_not_held_up():
    release = threading.Event()

    def hang(inquiry):
        release.wait(30)
        return ok("t.good", "too late")

    try:
        found = Run().stage(stage(probe("t.a", hang, seconds=0.1), probe("t.b", good)), None).findings
    finally:
        release.set()
    assert found["t.a"].code == "engine.deadline"
    assert found["t.a"].failed and found["t.a"].hints
    assert found["t.b"].status is Status.OK


def test_a_probe_that_keeps_its_deadline_says_what_it_saw_itself(monkeypatch):
    assert probe_runner.GRACE_SECONDS > 0.1
    monkeypatch.setattr(probe_runner, "GRACE_SECONDS", 10.0)  # the machine's own delays are not what is asked

    def late(inquiry):
        time.sleep(inquiry.deadline.remaining() + 0.01)
        return fail("t.bad", "silent for 0.05 s", "")

    assert Run().stage(stage(probe("t.a", late, seconds=0.05)), None).findings["t.a"].code == "t.bad"


@pytest.mark.parametrize(
    "broken",
    [lambda inquiry: 1 / 0, lambda inquiry: ok("t.unknown", ""), lambda inquiry: None],
)
def test_a_probe_that_breaks_is_a_finding_that_names_the_defect(broken):
    finding = Run().stage(stage(probe("t.a", broken)), None).findings["t.a"]
    assert (finding.code, finding.status) == ("engine.defect", Status.FAIL)
    assert "t.a" in finding.seen


def test_a_circle_of_needs_is_a_defect_of_the_stage_and_not_a_hang():
    circle = stage(probe("t.a", good, needs=("t.b",)), probe("t.b", good, needs=("t.a",)))
    with pytest.raises(ValueError, match="circle"):
        Run().stage(circle, None)


def test_the_stages_add_up_to_the_wall_time_whatever_happens_between_them():
    origin, at_work = time.monotonic() - 0.2, []  # start-up before the run was made counts too
    run = Run(origin=origin)
    run.account("start", "start")
    run.stage(stage(probe("t.a", good)), None)
    time.sleep(0.05)

    def work(progress):
        at_work.append(time.monotonic() - origin)
        return {"s.a": ok("t.good", "done")}

    run.step("s", "a step", work)
    over = time.monotonic() - origin
    report = run.report()
    together, rounding = sum(s.seconds for s in report.stages), 1e-6
    assert at_work[0] - rounding <= together <= over + rounding and over <= report.seconds
    for before, after in zip(report.stages, report.stages[1:], strict=False):
        assert after.started == pytest.approx(before.started + before.seconds)


def test_a_step_that_fails_is_shown_as_a_failed_stage_and_raised_again():
    run = Run()

    def work(progress):
        raise StorageError("no space", "free some", code="disk.full")

    with pytest.raises(StorageError):
        run.step("s", "a step", work)
    [finding] = run.report().having(Status.FAIL)
    assert (finding.code, finding.seen, finding.hints) == ("disk.full", "no space", ("free some",))


def test_observers_are_told_of_everything_in_order_from_one_thread():
    events: list[tuple[object, ...]] = []
    threads: set[int] = set()

    class Recorder:
        def stage_started(self, name, title, reviews):
            events.append(("start", name, dict(reviews)))

        def probe_finished(self, stage, name, finding):
            threads.add(threading.get_ident())
            events.append(("probe", name, finding.code))

        def progress(self, stage, text):
            events.append(("progress", stage, text))

        def stage_finished(self, result):
            events.append(("end", result.name))

    run = Run(Recorder())
    run.stage(stage(probe("t.a", good)), None)
    run.step("s", "step", lambda progress: progress("half") or {"s.a": ok("t.good", "")})
    assert events == [
        ("start", "t", {"t.a": "t.a?"}),
        ("probe", "t.a", "t.good"),
        ("end", "t"),
        ("start", "s", {}),
        ("progress", "s", "half"),
        ("probe", "s.a", "t.good"),
        ("end", "s"),
    ]
    assert threads == {threading.get_ident()}


def test_the_worst_finding_is_the_status_of_a_stage_and_an_all_skipped_stage_is_skipped():
    def giving(status):
        return lambda inquiry: Finding("t.good", status, "")

    def status(*statuses):
        return Run().stage(stage(*(probe(f"t.{i}", giving(s)) for i, s in enumerate(statuses))), None).status

    assert status(Status.OK, Status.SKIP) is Status.OK
    assert status(Status.OK, Status.WARN) is Status.WARN
    assert status(Status.WARN, Status.FAIL, Status.OK) is Status.FAIL
    assert status(Status.SKIP, Status.SKIP) is Status.SKIP


def test_every_code_that_the_engine_gives_has_a_meaning():
    assert set(ENGINE_CODES) == {"engine.deadline", "engine.defect", "engine.needs", "engine.time"}


def test_the_deadline_of_a_run_bounds_its_probes_and_what_comes_too_late_is_skipped():
    asked = []

    def hang(inquiry):
        asked.append(inquiry.deadline.remaining())
        time.sleep(inquiry.deadline.remaining())
        return ok("t.good", "late")

    first = Probe("t.a", "hang", hang, CODES, seconds=60)
    second = Probe("t.b", "then", hang, CODES, needs=("t.a",))
    run = Run(deadline=Deadline.after(0.2))
    found = run.stage(Stage("t", "t", (first, second)), None).findings
    assert len(asked) == 1 and asked[0] <= 0.2
    assert (found["t.a"].seen, found["t.b"].code) == ("late", "engine.time")


def test_only_the_probes_that_are_selected_are_asked():
    asked = []

    def note(inquiry):
        asked.append("asked")
        return ok("t.good", "well")

    probes = (Probe("t.a", "a", note, CODES), Probe("t.b", "b", note, CODES))
    run = Run(select=lambda stage: [probe for probe in stage.probes if probe.name == "t.b"])
    assert [*run.stage(Stage("t", "t", probes), None).findings] == ["t.b"]
    assert asked == ["asked"]
