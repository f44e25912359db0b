"""Causes on a real API server: the same objects, created there, read with the shipped rights, and named."""

import pytest
from msgspec.structs import replace

from gfattach.queue.diagnose import diagnose
from tests.harness.arc.documents import NOW
from tests.harness.arc.scenarios import HEALTHY, SCENARIOS

#: Seconds by which a look is moved on, so that what was just made has stood for long.
LATER = 1500

CASES = [(code, make) for code, makes in SCENARIOS.items() for make in makes]
RECORDED = [make for _, make in CASES if make().recorded]


def chart(fleet):
    return "0.14" if fleet.version >= "0.14" else "0.13"


@pytest.mark.parametrize(
    ("code", "make"),
    sorted(
        (each for each in CASES if each[1] not in RECORDED),
        key=lambda each: each[1]().fleet.version >= "0.14",
    ),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_cause_that_is_made_real_is_named_first(arc_cluster, maker, look, code, make):
    scenario = make()
    arc_cluster.install(chart(scenario.fleet))
    maker.make(scenario.fleet, later=LATER)
    world, question = look(LATER), scenario.question
    if question.queued is not None:  # as long before this look as before the recorded one
        question = replace(question, queued=world.now - (NOW - question.queued))
    (answer,) = diagnose(world, question)
    assert answer.first.cause.code == code


def test_an_idle_runner_that_went_between_two_looks_is_named(arc_cluster, maker, look):
    (make,) = SCENARIOS["queue.runner.oscillating"]
    scenario = make()
    arc_cluster.install(chart(scenario.fleet))
    maker.make(scenario.before, later=LATER)
    before = look(LATER)
    gone = next(scenario.before.of("EphemeralRunner"))
    maker.delete(gone)
    maker.change(next(scenario.before.of("EphemeralRunnerSet")), {"spec": {"replicas": 1}})
    (answer,) = diagnose(look(LATER), scenario.question, before)
    assert answer.first.cause.code == "queue.runner.oscillating"


@pytest.mark.parametrize("name", HEALTHY)
def test_a_real_cluster_that_is_well_has_no_cause(arc_cluster, maker, look, name):
    scenario = HEALTHY[name]()
    arc_cluster.install(chart(scenario.fleet))
    later = 0 if name in ("a runner is being made", "scaling up") else LATER
    maker.make(scenario.fleet, later=later)
    (answer,) = diagnose(look(later), scenario.question)
    assert answer.cause is None
