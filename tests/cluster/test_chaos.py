"""What breaks on the way to the cache breaks no build, loses no byte, and is over when it is back.

A few runs of each fault; `python -m tests.harness.cluster.chaos 100` is the same a hundred times and with a
stop of the agent for a minute.
"""

import os
import shutil

import pytest

from tests.harness.cluster.chaos import attached_field
from tests.harness.machine.bazels import newest

RUNS = int(os.environ.get("GFATTACH_CHAOS_RUNS", "10"))

#: The newest Bazel does otherwise without its cache than the machine's: a run of each fault is enough here.
NEWEST_RUNS = int(os.environ.get("GFATTACH_CHAOS_RUNS", "5"))

pytestmark = pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")


@pytest.mark.parametrize(
    ("bazel", "runs"), [(None, RUNS), (newest, NEWEST_RUNS)], ids=["the machine's Bazel", "the newest Bazel"]
)
def test_after_every_fault_the_next_build_is_served_and_nothing_was_replayed_or_cut_short(
    cluster, tmp_path, bazel, runs
):
    with attached_field(tmp_path, cluster, bazel and bazel()) as field:
        for number in range(runs):
            name, act = field.faults[number % len(field.faults)]
            outcome = field.run(name, act)
            assert outcome.kept, outcome
        ours, theirs = field.tallies()
    assert ours.faults + theirs.faults == []
    assert ours.whole > 10 * runs
    assert sum(ours.errors.values()) > 0  # the faults were felt: connections did break, and said so
