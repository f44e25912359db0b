"""What the benchmarks of whole commands share: rounds in turn, ratios round by round, and a limit.

Each round runs every command once, in turn, so that a change in the machine's speed falls on all of them.
Figures are medians over the rounds, and a ratio is taken round by round.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


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


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """The median of what the ones are of the others, round by round."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def verdict(figure: float, limit: float, words: str) -> int:
    """Print whether `figure` keeps `limit`, after `words`; the exit code."""
    kept = figure <= limit
    print(f"{words}: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def beside_the_first(times: Mapping[str, Sequence[float]], limit: float) -> int:
    """Print every command's median and what it is of the first one's, a bare interpreter's; the exit code."""
    bare = next(iter(times.values()))
    ratios = {name: ratio(taken, bare) for name, taken in times.items()}
    print(f"{'command':<22} {'median':>9} {'times bare':>11}   ({len(bare)} rounds)")
    for name, taken in times.items():
        print(f"{name:<22} {statistics.median(taken) * 1000:>6.1f} ms {ratios[name]:>11.2f}")
    return verdict(max(ratios.values()), limit, f"limit: {limit} times a bare interpreter's start")
