"""How long Bazel waits for a token, as a multiple of a bare interpreter's start.

    python benchmarks/credential_get.py [ROUNDS]

Measured is the executable that Bazel is given, asked as Bazel asks, with the token in the private file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from timing import beside_the_first, in_turn, rounds_asked, seconds_of

#: What an answer may cost, in starts of a bare interpreter.
LIMIT = 6.0

HOST = "cache.example"


def main() -> int:
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
        question = f'{{"uri": "grpcs://{HOST}/build.bazel.remote.execution.v2.Capabilities"}}'.encode()
        said = subprocess.run([helper, "get"], input=question, stdout=subprocess.PIPE, check=True)
        assert b"Bearer" in said.stdout
        commands = {
            "bare interpreter": partial(seconds_of, [sys.executable, "-c", "1"], input=question),
            "credential helper": partial(seconds_of, [str(helper), "get"], input=question),
        }
        times = in_turn(commands, rounds_asked(15))
    return beside_the_first(times, LIMIT)


if __name__ == "__main__":
    sys.exit(main())
