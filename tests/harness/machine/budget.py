"""The one time budget of tests that hold something to a duration: scaled by how busy the machine is.

Seconds are for a machine that has nothing else to do. What waits for an event has the budget as its bound; a
test asserts a duration only where the duration is the feature (a listener that refuses at once).
"""

from __future__ import annotations

import os


def budget(seconds: float) -> float:
    """`seconds` on an idle machine, more on one whose run queue is longer than its processors."""
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * max(1.0, 2.0 * waiting)
