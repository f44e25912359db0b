"""How long Bazel waits for a token, as a multiple of a bare interpreter's start.

    python benchmarks/credential_get.py [RUNS]

Measured is the executable that Bazel is given, asked as Bazel asks, with the token in the private file.
Each round runs every command once, in turn, so that a change in the machine's speed falls on all of
them; the figures are medians over the rounds, and the ratio is taken round by round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: What an answer may cost, in starts of a bare interpreter.
LIMIT = 6.0

HOST = "cache.example"


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as place:
        os.environ.update(HOME=place, XDG_STATE_HOME=f"{place}/state")
        subprocess.run(
            [sys.executable, "-m", "gfattach", "credential", "login", HOST, "--store", "file"],
            input=b"a-token-of-the-benchmark",
            stdout=subprocess.DEVNULL,
            check=True,
        )
        from gfattach.credential.helper import write_helper

        helper = write_helper(Path(place) / "bin")
        commands = {
            "bare interpreter": [sys.executable, "-c", "1"],
            "credential helper": [str(helper), "get"],
        }
        question = f'{{"uri": "grpcs://{HOST}/build.bazel.remote.execution.v2.Capabilities"}}'.encode()
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):  # the first round warms the page cache and is not counted
            for name, args in commands.items():
                before = time.perf_counter()
                done = subprocess.run(args, input=question, stdout=subprocess.PIPE, check=True)
                times[name].append(time.perf_counter() - before)
        assert b"Bearer" in done.stdout
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
