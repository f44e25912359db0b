"""What files of tests cost, each run alone: seconds on the clock, and processor seconds of all it started.

    python -m tests.harness.times tests/integration/test_up_trial.py tests/cluster

Processor time decides how long everything takes on a machine with few processors, and says the same on a
busy one. A daemon outlives the test that started it: this process adopts orphans (prctl(2),
PR_SET_CHILD_SUBREAPER) and counts them when they end. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.harness.times.kept import ROOT

_PR_SET_CHILD_SUBREAPER = 36

#: Seconds that what a file left behind may go on before it is ended.
_LINGER_SECONDS = 10.0


@dataclass(frozen=True)
class Cost:
    """One file: seconds on the clock, processor seconds, the exit code of pytest."""

    seconds: float
    processor: float
    code: int


def measure(file: str) -> Cost:
    """Run one file alone, and wait for everything that it started."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=12", file]
    pid = os.posix_spawn(sys.executable, words, os.environ)
    while True:
        found, status = os.waitpid(-1, 0)
        if found == pid:
            break
    seconds = time.monotonic() - began
    _end_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, used, os.waitstatus_to_exitcode(status))


def _end_orphans() -> None:
    """Wait for what was left; what goes on for longer than _LINGER_SECONDS is told to end."""
    limit = time.monotonic() + _LINGER_SECONDS
    while True:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if found == 0:
            if time.monotonic() > limit:
                for child in _children():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGTERM)
            time.sleep(0.05)


def _children() -> list[int]:
    """The numbers of this process's children."""
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def main(words: list[str]) -> int:
    """Print the cost of each file that is named, or is below a directory that is; 1 where one failed."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    files = [
        str(path.relative_to(ROOT))
        for word in words or ["tests"]
        for path in ([ROOT / word] if word.endswith(".py") else sorted((ROOT / word).rglob("test_*.py")))
    ]
    costs = []
    for file in files:
        costs.append(cost := measure(file))
        said = f"  pytest ended with {cost.code}" if cost.code else ""
        print(f"{cost.processor:8.1f} processor s {cost.seconds:8.1f} s  {file}{said}", flush=True)
    print(f"{sum(cost.processor for cost in costs):8.1f} processor s together")
    return 1 if any(cost.code for cost in costs) else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
