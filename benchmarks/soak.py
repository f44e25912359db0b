"""Real builds through a forward while things break, for a time, and what the agent holds meanwhile.

    .venv/bin/python benchmarks/soak.py [SECONDS]      or GFATTACH_SOAK_SECONDS; an hour without

The faults of `python -m tests.harness.cluster.chaos` in turn, each with a build under way, one right after
it, and numbered requests beside them. After each, when all is well again, the agent's memory, threads,
descriptors, sockets and tasks are looked at: those beyond its clients', of which Bazel decides how many there
are. What counts is the median of the last third beside that of the first, without the first round of faults,
in which everything is met for the first time: flat is at most 1.1 times the memory, and four more. Needs
Bazel and the programs of the test cluster (`python -m tests.harness.cluster.bed build`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> int:
    seconds = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GFATTACH_SOAK_SECONDS", "3600"))
    from tests.harness.cluster.chaos import attached_field
    from tests.harness.cluster.cluster import Cluster
    from tests.harness.cluster.soak import soak

    os.environ.setdefault("GFATTACH_TEST_CACHE", str(Path.home() / ".cache/gfattach-tests"))
    with (
        tempfile.TemporaryDirectory(prefix="gfattach-soak.") as directory,
        Cluster() as cluster,
        attached_field(Path(directory), cluster) as field,
    ):
        results = soak(field, seconds)
    return results.show()


if __name__ == "__main__":
    sys.exit(main())
