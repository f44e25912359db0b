"""What asks this process to end: once is once, however often it is delivered."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

#: Seconds within which another signal is the echo of the one before: a terminal asks every process in the
#: foreground, and a wrapper among these (timeout, make, a shell's job) passes on what it got itself.
ECHO_SECONDS = 1.0

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_as_interrupted() -> None:
    """Have what asks a process to end, and a terminal that closes, undo what was begun as ctrl-C does.

    An echo does not end the undoing; a user who asks again does. A signal that is ignored (nohup) stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    asked: list[float] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not asked or now - asked[-1] >= ECHO_SECONDS:
            asked.append(now)
            raise KeyboardInterrupt

    for number in _ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)
