"""From a build to a phase: what counts as a hit, and what voids it."""

import pytest
from msgspec.structs import replace

from gfattach.bazel.logs.events import BuildEvents, Options, Spawns
from gfattach.bazel.logs.grpc_log import CallLog
from gfattach.proof.bazel.evidence import Build, clock_offset, phase_of, without_actions
from gfattach.proof.bazel.options import Access
from gfattach.proof.evidence import Client, PhaseName
from gfattach.proof.measure import describe

ENDPOINT = "grpc://127.0.0.1:9092"

LOG = CallLog(
    counts={"GetActionResult OK": 20, "GetCapabilities OK": 1},
    asked=20,
    hits=20,
    hit_at=1_700_000_002.5,
    actions=("aa", "bb"),
    capabilities="OK",
)

OPTIONS = Options((f"--remote_cache={ENDPOINT}", "--remote_executor=", "--disk_cache="))

#: Twenty hits on a warm server: what a proof should look like.
GOOD = Build(
    name=PhaseName.HIT,
    access=Access.READ,
    endpoint=ENDPOINT,
    started=1000.0,
    seconds=4.0,
    warm=True,
    exit_code=0,
    last_words="",
    events=BuildEvents(options=OPTIONS, spawns=Spawns({"remote cache hit": 20})),
    log=LOG,
    summary=(Spawns({"remote cache hit": 20}), "21 processes: 20 remote cache hit, 1 internal."),
    summary_at=1003.5,
    offsets=(1_699_999_001.0, 1_699_999_001.0),
    detail={"bazel": "8.1.1"},
)


def spawned(**runners):
    named = {name.replace("_", " "): count for name, count in runners.items()}
    return replace(GOOD.events, spawns=Spawns(named))


def optioned(*more):
    return replace(GOOD.events, options=Options((*OPTIONS.command_line, *more)))


def test_twenty_hits_are_a_leg_without_violations():
    phase = phase_of(GOOD)
    assert (phase.client, phase.name, phase.warm) == (Client.BAZEL, PhaseName.HIT, True)
    assert (phase.asked, phase.hits, phase.local) == (20, 20, 0)
    assert phase.violations == ()
    assert phase.rpcs == LOG.counts
    assert phase.detail["actions"] == ["aa", "bb"]
    assert phase.detail["exit_code"] == 0 and phase.detail["bazel"] == "8.1.1"
    assert phase.detail["processes"].startswith("21 processes")


def test_the_first_hit_is_moved_from_the_wall_clock_to_the_monotonic_one():
    assert phase_of(GOOD).first_hit == pytest.approx(1001.5)


def test_a_clock_that_was_set_during_the_leg_is_noted_and_keeps_the_hit_inside_it():
    phase = phase_of(replace(GOOD, offsets=(GOOD.offsets[0], GOOD.offsets[0] - 3600)))
    assert phase.started <= phase.first_hit <= phase.started + phase.seconds
    assert phase.detail["clock_moved"] == -3600


def test_the_clocks_are_compared_as_they_are():
    import time

    assert clock_offset() + time.monotonic() == pytest.approx(time.time(), abs=0.5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"log": replace(LOG, executions=2)}, "an executor was called 2 times"),
        ({"events": optioned("--remote_executor=grpc://x:1")}, "an executor was configured: grpc://x:1"),
        ({"events": spawned(remote_cache_hit=19, remote=1)}, "1 processes ran on an executor"),
        ({"events": optioned("--disk_cache=/d")}, "a disk cache was configured: /d"),
        ({"events": spawned(remote_cache_hit=18, disk_cache_hit=2)}, "2 hits came from a disk cache"),
        ({"log": replace(LOG, hits=15)}, "bazel counts 20 hits, and the remote cache served 15"),
        ({"events": spawned(remote_cache_hit=17, local=3)}, "17 of the 20 results that the cache knew"),
        ({"events": optioned("--remote_cache=grpc://y:1")}, "another cache than the one to prove was asked"),
        ({"log": replace(LOG, uploads=1)}, "1 uploads were made in a phase that only reads"),
        ({"log": replace(LOG, capabilities=None)}, "not attached: Bazel never asked"),
        ({"log": replace(LOG, capabilities="UNAVAILABLE")}, "not attached: "),
        ({"exit_code": 34, "last_words": "no route"}, "bazel exited with 34: no route"),
        ({"events": replace(GOOD.events, options=None)}, "bazel did not say with which options"),
    ],
)
def test_what_voids_a_leg(change, told):
    violations = phase_of(replace(GOOD, **change)).violations
    assert len(violations) >= 1
    assert any(told in violation for violation in violations)


def test_a_disk_cache_that_an_old_bazel_reports_as_remote_is_no_hit():
    """Before Bazel 5 a disk cache's hits are counted as "remote cache hit"; the log has none of them."""
    phase = phase_of(replace(GOOD, log=replace(LOG, hits=0, hit_at=None)))
    assert phase.hits == 0 and phase.first_hit is None
    assert phase.violations


def test_results_whose_blobs_are_gone_are_no_hits():
    phase = phase_of(replace(GOOD, events=spawned(remote_cache_hit=17, local=3)))
    assert (phase.hits, phase.local) == (17, 3)


def test_a_fill_may_upload_and_find_what_is_there():
    fill = replace(GOOD, name=PhaseName.FILL, access=Access.WRITE, log=replace(LOG, uploads=40))
    assert phase_of(fill).violations == ()


def test_a_hit_on_what_nobody_can_have_stored_is_a_violation():
    fill = replace(GOOD, name=PhaseName.FILL, access=Access.WRITE)
    assert "although nobody can have stored them" in phase_of(fill, novel=True).violations[0]


WITHHELD = replace(
    GOOD,
    name=PhaseName.CONTROL,
    access=Access.WITHHELD,
    events=spawned(local=20),
    log=CallLog(counts={"GetCapabilities UNAVAILABLE": 2}, capabilities="UNAVAILABLE"),
)


def test_a_control_builds_everything_here():
    phase = phase_of(WITHHELD)
    assert (phase.asked, phase.hits, phase.local, phase.violations) == (20, 0, 20, ())


def test_hits_in_a_control_are_counted_and_told():
    phase = phase_of(replace(WITHHELD, events=spawned(local=15, remote_cache_hit=5)))
    assert phase.hits == 5
    assert any("5 hits" in violation for violation in phase.violations)


def test_an_http_cache_is_judged_by_the_summary_and_says_so():
    phase = phase_of(replace(GOOD, log=None))
    assert (phase.asked, phase.hits, phase.violations) == (20, 20, ())
    assert phase.first_hit == 1003.5
    assert "no log of calls" in phase.detail["source"]


def test_the_summary_stands_in_for_an_event_file_without_runners():
    phase = phase_of(replace(GOOD, events=replace(GOOD.events, spawns=None)))
    assert phase.hits == 20


def test_an_action_that_was_never_looked_up_was_not_asked_for():
    """Actions that are not to be cached run here, and are no misses."""
    phase = phase_of(replace(GOOD, events=spawned(remote_cache_hit=20, local=7)))
    assert (phase.asked, phase.hits, phase.local, phase.violations) == (20, 20, 7, ())


@pytest.mark.parametrize(
    ("asked", "hits", "runners", "says"),
    [
        (20, 20, {"remote_cache_hit": 20, "local": 7}, "20 of 20 came from the cache, the first after"),
        (20, 0, {"local": 27}, "none of 20 came from the cache; 7 that may not be cached ran here besides"),
        (20, 0, {"local": 20}, "none of 20 came from the cache"),
        (0, 0, {"local": 2}, "none of 0 came from the cache"),
        (0, 0, {}, "none of 0 came from the cache"),
    ],
)
def test_what_never_asks_a_cache_is_counted_apart_and_said(asked, hits, runners, says):
    """Tags keep actions from caches, and a filegroup or a source file has none."""
    assert GOOD.log is not None
    log = replace(GOOD.log, asked=asked, hits=hits)
    build = replace(GOOD, events=spawned(**runners), log=log)
    phase = without_actions(build, phase_of(build))
    never = sum(runners.values()) - asked
    assert phase.detail["never_asked"] == never
    seen = describe(phase)
    assert says in seen.seen and seen.seen.endswith("besides") == bool(asked and never)
    if not asked:
        assert "no action" in seen.why
        assert ("tag" if never else "filegroup") in seen.hints[0]
