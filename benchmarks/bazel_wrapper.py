"""What `gfattach bazel` adds to Bazel itself, with a warm server: `bazel info release`.

    python benchmarks/bazel_wrapper.py [ROUNDS]

Needs a Bazel on PATH. Attaches a workspace in a temporary directory to the trial, and runs the same
command with and without the wrapper.
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from timing import in_turn, rounds_asked, seconds_of

from benchmarks.figures import Figure, Results

ROOT = Path(__file__).resolve().parents[1]

#: Seconds that the wrapper may add.
LIMIT = 0.150


def main() -> int:
    rounds = rounds_asked(11)
    with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as place:
        workspace = Path(place) / "workspace"
        workspace.mkdir()
        (workspace / "WORKSPACE").write_text("")
        gfattach = [sys.executable, "-m", "gfattach"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": f"{place}/home"}
        taken = partial(seconds_of, cwd=workspace, env=environment)
        root = f"--output_user_root={place}/root"
        taken([*gfattach, "up", "--trial", "--no-bazel", "--no-nix"])
        rc = f"--bazelrc={workspace}/.gfattach/bazelrc"
        commands = {
            "bazel info": partial(taken, ["bazel", root, rc, "info", "release"]),
            "gfattach bazel info": partial(taken, [*gfattach, "bazel", root, "info", "release"]),
        }
        try:
            times = in_turn(commands, rounds)  # the server starts in the round that is not counted
        finally:
            taken(["bazel", root, "shutdown"])
            taken([*gfattach, "down"])
    plain, wrapped = times.values()
    added = [b - a for a, b in zip(plain, wrapped, strict=True)]
    return Results(
        [
            Figure("added to bazel info", added, "s", limit=LIMIT),
            Figure("gfattach bazel info beside bazel info", wrapped, "s", plain),
        ]
    ).show()


if __name__ == "__main__":
    sys.exit(main())
