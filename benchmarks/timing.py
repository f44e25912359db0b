"""What the benchmarks of whole commands share: rounds in turn, ratios round by round, and a limit.

Each round runs every command once, in turn, so that a change in the machine's speed falls on all of them.
Figures are medians over the rounds, and a ratio is taken round by round.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import Figure


def rounds_asked(default: int) -> int:
    """How many rounds the command line asks for."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else default


def seconds_of(command: Sequence[str], **options: Any) -> float:
    """Seconds that `command` takes as a whole process. It has to succeed: its errors end the benchmark."""
    before = time.perf_counter()
    done = subprocess.run(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
    taken = time.perf_counter() - before
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr.decode()}")
    return taken


def in_turn(commands: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each of `commands`, round by round; a first one warms the page cache and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, take in commands.items():
            taken = take()
            if number:
                times[name].append(taken)
    return times


def beside_the_first(times: Mapping[str, Sequence[float]], limits: Mapping[str, float]) -> list[Figure]:
    """What every command takes beside the first one, a bare interpreter."""
    (_, bare), *others = times.items()
    return [Figure(name, taken, "s", bare, limits[name]) for name, taken in others]
