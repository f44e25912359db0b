"""What gfattach itself takes of `gfattach up --trial`, beside what Bazel and Nix take.

    python benchmarks/own_share.py [ROUNDS]

Each round attaches twice in a fresh machine directory: once with Bazel and Nix, once without
them; what is left then is gfattach's own: its start, the embedded caches, the probes, the
fragments and the protocol's hit. Both are whole processes timed from outside. Nothing outside the
temporary directory is touched.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from timing import in_turn, rounds_asked, seconds_of

from benchmarks.figures import Figure, Results

ROOT = Path(__file__).resolve().parents[1]

#: Seconds that gfattach's own share may take.
LIMIT = 1.5


def main() -> int:
    rounds = rounds_asked(5)
    times = in_turn({"own": lambda: attach("--no-bazel", "--no-nix"), "whole": attach}, rounds)
    own, whole = times.values()
    return Results(
        [
            Figure("up --trial --no-bazel --no-nix", own, "s", limit=LIMIT),
            Figure("the same beside up --trial with Bazel and Nix", own, "s", whole),
        ]
    ).show()


def attach(*options: str) -> float:
    """Seconds that one attach takes on a new machine; it is detached again."""
    with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as place:
        workspace = Path(place) / "workspace"
        workspace.mkdir()
        (workspace / "WORKSPACE").write_text("")
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": f"{place}/home"}
        gfattach = [sys.executable, "-m", "gfattach"]
        there = {"cwd": workspace, "env": environment}
        taken = seconds_of([*gfattach, "up", "--trial", *options], **there)
        seconds_of([*gfattach, "down"], **there)
    return taken


if __name__ == "__main__":
    sys.exit(main())
