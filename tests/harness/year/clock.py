"""The simulated clock: what every clock of this process says, once it is installed.

Three things move it, as on a machine: time that passes, a suspend (CLOCK_MONOTONIC stands still meanwhile,
CLOCK_BOOTTIME and the wall clock do not, clock_gettime(2)), and somebody who sets the wall clock.
"""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field

#: Seconds in a day.
DAY = 86_400.0


@dataclass
class Clock:
    """Seconds that passed while the machine was awake and asleep; `set_by` is what the wall clock is wrong
    by.
    """

    monotonic: float = 1_000.0
    asleep: float = 0.0
    set_by: float = 0.0
    epoch: float = field(default_factory=time.time)

    @property
    def boottime(self) -> float:
        """CLOCK_BOOTTIME."""
        return self.monotonic + self.asleep

    @property
    def true(self) -> float:
        """The time that everybody else has, in seconds since 1970."""
        return self.epoch + self.boottime

    @property
    def ahead(self) -> float:
        """Seconds that the wall clock is ahead of the machine's own, by which OpenSSL goes."""
        return self.wall - _REAL_TIME()

    @property
    def wall(self) -> float:
        """CLOCK_REALTIME of this machine."""
        return self.true + self.set_by


_REAL = datetime.datetime
_REAL_TIME = time.time


class _Real(type):
    """What extensions make is of the class that was there before."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL)


def install(clock: Clock) -> None:
    """Have `time` and `datetime` of this process go by `clock`. Before gfattach is imported: modules import
    the class.

    What OpenSSL holds a certificate's dates against is the machine's own clock still, and so is what waits
    for a process or a thread.
    """

    class Simulated(datetime.datetime, metaclass=_Real):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Simulated:
            return cls.fromtimestamp(clock.wall, tz)

    def clock_gettime(number: int) -> float:
        if number == time.CLOCK_REALTIME:
            return clock.wall
        return clock.boottime if number == time.CLOCK_BOOTTIME else clock.monotonic

    time.monotonic = lambda: clock.monotonic
    time.time = lambda: clock.wall
    time.clock_gettime = clock_gettime
    datetime.datetime = Simulated  # type: ignore[misc]
