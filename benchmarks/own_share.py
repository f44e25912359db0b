"""What gfattach itself takes of `gfattach up --trial`, beside what Bazel and Nix take.

    python benchmarks/own_share.py [ROUNDS]

Each round attaches twice in a fresh machine directory: once with Bazel and Nix, once without
them; what is left then is gfattach's own: its start, the embedded caches, the probes, the
fragments and the protocol's hit. Both are whole processes timed from outside, in turn, and the
ratio is taken round by round. Nothing outside the temporary directory is touched.
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

#: Seconds that gfattach's own share may take.
LIMIT = 1.5


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    own, whole = [], []
    for number in range(rounds + 1):  # the first round warms the page cache and is not counted
        with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as place:
            times = (attach(Path(place) / "own", "--no-bazel", "--no-nix"), attach(Path(place) / "whole"))
        if number:
            own.append(times[0])
            whole.append(times[1])
    ratio = statistics.median(a / b for a, b in zip(own, whole, strict=True))
    print(f"up --trial                       {statistics.median(whole):6.2f} s")
    print(f"up --trial --no-bazel --no-nix   {statistics.median(own):6.2f} s   {ratio:.2f} of it")
    kept = statistics.median(own) <= LIMIT
    print(f"limit: {LIMIT} s of its own: {'kept' if kept else 'BROKEN'}   ({rounds} rounds, medians)")
    return 0 if kept else 1


def attach(place: Path, *options: str) -> float:
    """Seconds that one attach takes in the new directory `place`; it is detached again."""
    workspace = place / "workspace"
    workspace.mkdir(parents=True)
    (workspace / "WORKSPACE").write_text("")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(place / "home")}
    gfattach = [sys.executable, "-m", "gfattach"]
    quiet = {"cwd": workspace, "env": environment, "capture_output": True}
    before = time.perf_counter()
    done = subprocess.run([*gfattach, "up", "--trial", *options], **quiet)
    taken = time.perf_counter() - before
    subprocess.run([*gfattach, "down"], **quiet, check=True)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return taken


if __name__ == "__main__":
    sys.exit(main())
