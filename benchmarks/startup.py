"""How long gfattach takes to start, as a multiple of a bare interpreter's start.

    python benchmarks/startup.py [RUNS]

Each round runs every command once, in turn, so that a change in the machine's speed falls on
all of them; the figures are medians over the rounds, and the ratio is taken round by round.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "bare interpreter": ["-c", "pass"],
    "gfattach --version": ["-m", "gfattach", "--version"],
    "gfattach --help": ["-m", "gfattach", "--help"],
}

#: What `--version` and `--help` may cost, in starts of a bare interpreter.
LIMIT = 5.5


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):  # the first round warms the page cache and is not counted
        for name, args in COMMANDS.items():
            before = time.perf_counter()
            subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - before)
    bare = times["bare interpreter"][1:]
    worst = 0.0
    print(f"{'command':<22} {'median':>9} {'times bare':>11}   ({rounds} rounds)")
    for name, taken in times.items():
        ratio = statistics.median(a / b for a, b in zip(taken[1:], bare, strict=True))
        worst = max(worst, ratio)
        print(f"{name:<22} {statistics.median(taken[1:]) * 1000:>6.1f} ms {ratio:>11.2f}")
    print(f"limit: {LIMIT} times a bare interpreter's start: {'kept' if worst <= LIMIT else 'BROKEN'}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
