"""Charts 0.9.3 to 0.14.2 and the unreleased head: what their objects have in other fields means the same."""

import pytest

from gfattach.queue.causes.cause import Verdict
from gfattach.queue.diagnose import diagnose
from gfattach.queue.model.question import Question
from tests.harness.arc import scenarios
from tests.harness.arc.documents import ago
from tests.harness.arc.objects import Fleet, pod_spec
from tests.harness.arc.scenarios import LABEL, REPOSITORY
from tests.harness.arc.snapshots import world

VERSIONS = ["0.9.3", "0.10.1", "0.11.0", "0.12.1", "0.13.0", "0.13.1", "0.14.0", "0.14.2", "head"]


def fleet_of(version, **options):
    fleet = Fleet(version)
    fleet.node()
    return fleet, fleet.scale_set(**options)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_set_that_is_well_is_idle(version):
    (answer,) = diagnose(world(fleet_of(version)[0]), Question(LABEL))
    assert (answer.verdict, answer.cause) == (Verdict.IDLE, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_runner_with_a_job_is_busy_by_whichever_field_says_so(version):
    fleet, found = fleet_of(version, maximum=2)
    for _ in range(2):
        fleet.runner(found, repository=REPOSITORY, old_job=version < "0.13")
    (answer,) = diagnose(world(fleet), Question(LABEL, REPOSITORY))
    assert answer.verdict is Verdict.AT_CAPACITY and answer.pressure.capacity.counts.busy == 2


@pytest.mark.parametrize("failures", [{"uid": True}, {"uid": ago(60)}], ids=["up to 0.11", "since"])
def test_failures_are_counted_whatever_stands_beside_each(failures):
    fleet, found = fleet_of("0.13.1")
    fleet.runner(found)["status"]["failures"] = failures
    assert world(fleet).snapshot.runners.items[0].failures == 1


@pytest.mark.parametrize("status", [{"state": ""}, {"phase": ""}, {}, None])
def test_a_set_without_a_phase_is_no_less_well(status):
    fleet, found = fleet_of("0.14.0")
    found.scale_set["status"] = status
    (answer,) = diagnose(world(fleet), Question(LABEL))
    assert answer.verdict is Verdict.IDLE


def test_a_runner_of_a_phase_that_is_not_known_is_pending():
    fleet, found = fleet_of("0.14.2")
    fleet.runner(found, pod=False)["status"]["phase"] = "Dreaming"
    assert world(fleet).snapshot.runners.items[0].phase == "Pending"


def test_counts_come_from_runners_and_never_from_a_status():
    fleet, found = fleet_of("0.13.1", maximum=2)
    found.scale_set["status"] = {"currentRunners": 2, "runningEphemeralRunners": 2}
    found.runner_set["status"] = {"currentReplicas": 2}
    (answer,) = diagnose(world(fleet), Question(LABEL))
    assert answer.verdict is Verdict.IDLE and answer.pressure.capacity.counts.current == 0


def test_a_set_without_a_maximum_is_never_full():
    fleet, found = fleet_of("0.13.1", maximum=None)
    for _ in range(3):
        fleet.runner(found, repository=REPOSITORY)
    (answer,) = diagnose(world(fleet), Question(LABEL))
    assert answer.verdict is Verdict.IDLE and "3 of unlimited" in answer.summary


def test_the_secret_that_old_charts_wrote_into_the_status_is_shown_nowhere(ask, tmp_path):
    fleet, found = fleet_of("0.12.1", maximum=1)
    fleet.runner(found, repository=REPOSITORY)["status"]["runnerJITConfig"] = "a-canary-that-sings"
    for words in ([], ["--output", "json"], ["--html", str(tmp_path / "page")], ["--audit"], ["--markdown"]):
        label = [] if "--audit" in words else [LABEL]
        _, out, err = ask(fleet, *label, *words)
        assert "canary" not in out + err
    assert "canary" not in (tmp_path / "page").read_text()


def test_runners_whose_set_is_named_alike_are_not_its_own():
    """From the head on a runner set is called as its scale set: names begin alike all the more."""
    fleet, found = fleet_of("head", maximum=2)
    heavy = fleet.scale_set("tinyland-nix-runner", maximum=2)
    for _ in range(2):
        fleet.runner(heavy, repository=REPOSITORY)
    own, other = (diagnose(world(fleet), Question(name))[0] for name in (LABEL, "tinyland-nix-runner"))
    assert (own.verdict, other.verdict) == (Verdict.IDLE, Verdict.AT_CAPACITY)
    assert found.runners == []


def test_a_pod_that_bears_a_runner_s_name_and_is_not_its_own_is_none_of_it():
    scenario = scenarios.podless()
    name = next(scenario.fleet.of("EphemeralRunner"))["metadata"]["name"]
    scenario.fleet.pod(name, "arc-runners", 60, spec=pod_spec())
    (answer,) = diagnose(world(scenario.fleet), Question(LABEL))
    assert answer.cause.cause.code == "queue.slots.podless"
    assert "2 runners" in answer.summary
