"""A right that is taken away turns a verdict into unknown, or leaves it as it is: it never makes another."""

import itertools

import pytest

from gfattach.queue.causes.cause import Verdict
from gfattach.queue.diagnose import diagnose
from tests.harness.arc.scenarios import HEALTHY, SCENARIOS
from tests.harness.arc.snapshots import KINDS, world

MAKES = [*(make for makes in SCENARIOS.values() for make in makes), *HEALTHY.values()]


def verdicts(scenario, denied=()):
    before = None if scenario.before is None else world(scenario.before, denied)
    return diagnose(world(scenario.fleet, denied), scenario.question, before)


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_no_right_that_is_missing_makes_another_verdict(make):
    scenario = make()
    (whole,) = verdicts(scenario)
    for denied in (*((each,) for each in KINDS), *itertools.combinations(KINDS, 2), tuple(KINDS)):
        for answer in verdicts(scenario, denied):
            assert answer.verdict in (whole.verdict, Verdict.UNKNOWN), denied
            if answer.verdict is Verdict.UNKNOWN:
                assert answer.missing and answer.headline.endswith(f"may not {answer.missing[0]}")


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_without_any_right_everything_is_unknown(make):
    (answer,) = verdicts(make(), tuple(KINDS))
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.missing[0] == "list autoscalingrunnersets.actions.github.com in all namespaces"


@pytest.mark.parametrize("kind", ["nodes", "quotas", "events", "storage_classes", "claims", "deployments"])
def test_a_label_at_capacity_is_seen_without_what_only_pods_that_wait_need(kind):
    (make,) = SCENARIOS["queue.slots.busy"]
    (answer,) = verdicts(make(), (kind,))
    assert answer.verdict is Verdict.AT_CAPACITY


def test_what_is_seen_is_told_though_the_verdict_is_unknown():
    (make,) = SCENARIOS["queue.slots.busy"]
    (answer,) = verdicts(make(), ("listeners",))
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.cause.cause.code == "queue.slots.busy" and answer.cause.sentence in answer.summary
