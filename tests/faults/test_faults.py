"""A sample of the faults, another one each day: whatever is seeded comes first.

`GFATTACH_TEST_FAULTS` says how many are seeded ("all": every one); `python -m tests.faults` prints the score.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tests.faults.score import of_this_machine, once
from tests.faults.set_ups import SET_UPS
from tests.faults.starter import Starter

#: The set-ups of which a sample is seeded here: the test cluster's are seeded in `tests/cluster`.
SAMPLED = [fault for fault in FAULTS if fault.set_up != "cluster"]


def sample(faults: list[Fault], day: int, count: int) -> list[Fault]:
    """At most `count` of the faults, spread over the set-ups; after enough days each was among them."""
    step = -(-len(faults) // max(1, count))
    return faults[day % step :: step]


ASKED = os.environ.get("GFATTACH_TEST_FAULTS", "16")
COUNT = len(SAMPLED) if ASKED == "all" else int(ASKED)
TODAY = sample(SAMPLED, datetime.now(UTC).toordinal(), COUNT)


@pytest.fixture(scope="module")
def starter():
    with Starter() as made:
        yield made


@pytest.fixture(scope="module")
def known(starter):
    return of_this_machine(starter)


@pytest.mark.parametrize("number", range(len(TODAY)))
def test_the_seeded_cause_comes_first(starter, known, number):
    outcome = once(TODAY[number], starter, None, known)
    assert outcome.right, (outcome.fault.title, outcome.fault.expected, outcome.causes)


def test_there_are_a_hundred_faults_and_more_in_every_set_up_and_in_pairs():
    count = Counter(fault.set_up for fault in FAULTS)
    assert set(count) == set(SET_UPS) and min(count.values()) >= 10 and sum(count.values()) >= 100
    assert len({fault.title for fault in FAULTS}) == len(FAULTS)
    assert sum(fault.also is not None for fault in FAULTS) >= 20


def test_every_expected_code_is_one_that_there_is():
    from gfattach.codes.catalogue import groups

    codes = {code.code for group in groups() for code in group.codes}
    assert {code for fault in FAULTS for code in fault.expected} <= codes


def test_after_some_days_every_fault_was_in_the_sample():
    days = [sample(SAMPLED, day, 16) for day in range(len(SAMPLED))]
    assert {fault.title for faults in days for fault in faults} == {fault.title for fault in SAMPLED}
