"""What `gfattach bazel` adds to Bazel itself, with a warm server: `bazel info release`.

    python benchmarks/bazel_wrapper.py [ROUNDS]

Needs a Bazel on PATH. Attaches a workspace in a temporary directory to the trial, and runs the same
command with and without the wrapper in turn; the difference and the ratio are taken round by round.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Seconds that the wrapper may add.
LIMIT = 0.150


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as place:
        workspace = Path(place) / "workspace"
        workspace.mkdir()
        (workspace / "WORKSPACE").write_text("")
        gfattach = [sys.executable, "-m", "gfattach"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(Path(place) / "home")}
        root = f"--output_user_root={place}/root"

        def taken(command: list[str]) -> float:
            before = time.perf_counter()
            subprocess.run(command, cwd=workspace, env=environment, capture_output=True, check=True)
            return time.perf_counter() - before

        taken([*gfattach, "up", "--trial", "--no-bazel", "--no-nix"])
        rc = f"--bazelrc={workspace}/.gfattach/bazelrc"
        plain = ["bazel", root, rc, "info", "release"]
        wrapped = [*gfattach, "bazel", root, "info", "release"]
        try:
            taken(plain), taken(wrapped)  # the server starts, and is not counted
            pairs = [(taken(plain), taken(wrapped)) for _ in range(rounds)]
        finally:
            taken(["bazel", root, "shutdown"])
            taken([*gfattach, "down"])
    added = statistics.median(b - a for a, b in pairs)
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"bazel info            {statistics.median(a for a, _ in pairs) * 1000:6.0f} ms")
    print(
        f"gfattach bazel info   {statistics.median(b for _, b in pairs) * 1000:6.0f} ms   {ratio:.2f} times"
    )
    kept = added <= LIMIT
    verdict = "kept" if kept else "BROKEN"
    print(f"added: {added * 1000:.0f} ms, limit {LIMIT * 1000:.0f}: {verdict}   ({rounds} rounds)")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
