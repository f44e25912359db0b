"""How long gfattach takes to start, as a multiple of a bare interpreter's start.

python benchmarks/startup.py [ROUNDS]
"""

from __future__ import annotations

import sys
from functools import partial

from timing import beside_the_first, in_turn, rounds_asked, seconds_of

from benchmarks.figures import Results

COMMANDS = {
    "bare interpreter": ["-c", "pass"],
    "gfattach --version": ["-m", "gfattach", "--version"],
    "gfattach --help": ["-m", "gfattach", "--help"],
}

#: What `--version` and `--help` may cost, in starts of a bare interpreter.
LIMIT = 5.5


def main() -> int:
    commands = {name: partial(seconds_of, [sys.executable, *args]) for name, args in COMMANDS.items()}
    times = in_turn(commands, rounds_asked(15))
    return Results(beside_the_first(times, dict.fromkeys(times, LIMIT))).show()


if __name__ == "__main__":
    sys.exit(main())
