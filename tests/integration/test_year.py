"""A fortnight of an attached machine on a simulated clock: after each event all is well in the agent's time.

`python -m tests.harness.year` is the same for a year. It is a process of its own, because every clock of it
is the simulated one.
"""

import os
import subprocess
import sys
from pathlib import Path

DAYS = os.environ.get("GFATTACH_YEAR_DAYS", "14")

ROOT = Path(__file__).parents[2]


def test_after_each_event_of_a_fortnight_all_is_well_within_the_agents_own_deadlines():
    done = subprocess.run(
        [sys.executable, "-m", "tests.harness.year", DAYS, "--seed", "14"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{DAYS} days" in done.stdout
