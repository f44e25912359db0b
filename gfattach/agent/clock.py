"""The suspend detector: the machine was asleep, or the process stopped."""

from __future__ import annotations

import time

#: Seconds more than expected from which on a look came late for a reason.
_LATE_SECONDS = 2.5

#: Goes on while the machine is asleep, which CLOCK_MONOTONIC does not on Linux (clock_gettime(2)).
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> float:
    """Seconds on a clock that does not stand still while the machine is asleep."""
    return time.time() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class SuspendDetector:
    """Looked at regularly, it tells when a look came much too late."""

    def __init__(self) -> None:
        self._last = now()

    def suspended_for(self, expected: float) -> float:
        """Seconds beyond the `expected` ones since the last look; 0 for none to speak of."""
        before, self._last = self._last, now()
        late = self._last - before - expected
        return late if late > _LATE_SECONDS else 0.0
