"""Each cause is named first in a cluster made for it, and none in clusters that are well."""

import pytest

from gfattach.queue.causes.cause import Verdict
from gfattach.queue.causes.table import CAUSES
from gfattach.queue.diagnose import diagnose
from tests.harness.arc.scenarios import HEALTHY, SCENARIOS
from tests.harness.arc.snapshots import world

CASES = [(code, make) for code, makes in SCENARIOS.items() for make in makes]


def answers(scenario, denied=()):
    before = None if scenario.before is None else world(scenario.before, denied)
    return diagnose(world(scenario.fleet, denied), scenario.question, before)


def test_the_table_has_39_causes_and_a_cluster_for_each():
    assert sorted(each.number for each in CAUSES) == list(range(1, 40))
    assert {each.code for each in CAUSES} == set(SCENARIOS)


@pytest.mark.parametrize(("code", "make"), CASES, ids=[f"{c}-{m.__name__}" for c, m in CASES])
def test_a_cause_is_named_first_in_its_cluster(code, make):
    scenario = make()
    found = [each.first for each in answers(scenario)]
    assert [each and each.cause.code for each in found] == [code]


@pytest.mark.parametrize(("code", "make"), CASES, ids=[f"{c}-{m.__name__}" for c, m in CASES])
def test_a_cause_says_its_objects_and_what_to_do_next_with_nothing_left_open(code, make):
    scenario = make()
    (answer,) = answers(scenario)
    found = answer.first
    assert "{" not in found.sentence.replace("{gpu: true}", "").replace(
        "{node.kubernetes.io/disk-pressure: }", ""
    )
    assert found.next and all("{set}" not in each and "SET" not in each.split() for each in found.next)
    if code not in ("queue.label.unserved", "queue.set.version"):
        assert found.objects
    assert not any(word in found.sentence.split() for word in ("SET", "NAMESPACE", "LISTENER", "POD", "WHY"))


@pytest.mark.parametrize("name", HEALTHY)
def test_a_cluster_that_is_well_has_no_cause(name):
    (answer,) = answers(HEALTHY[name]())
    assert answer.cause is None
    starting = name in ("a runner is being made", "scaling up")
    assert answer.verdict is (Verdict.STARTING if starting else Verdict.IDLE)


def test_what_is_merely_possible_is_never_the_cause():
    for make in HEALTHY.values():
        (answer,) = answers(make())
        assert all(each.cause.certainty == "possible" for each in answer.possible)
