"""Real builds through a forward while things break, for a time, and what the agent holds meanwhile.

    .venv/bin/python benchmarks/soak.py [SECONDS]      an hour without any

The faults of `python -m tests.harness.cluster.chaos` in turn, each with a build under way, one right after
it, and numbered requests beside them. After each, when all is well again, the agent's memory, descriptors,
sockets and threads are looked at. What counts is the median of the last third beside that of the first: flat
is at most 1.1 times. Needs Bazel and the programs of the test cluster (`python -m tests.harness.cluster.bed
build`).
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import Figure, Results  # noqa: E402

FLAT = 1.1

#: Connections of a fault that is just over are still being closed for a moment.
SETTLE_SECONDS = 1.0


def held(pid: int) -> dict[str, float]:
    """What a process holds: MiB of memory, descriptors, sockets among them, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "Threads")}  # type: ignore[index]
    links = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            links.append(str(Path(entry.path).readlink()))
        except FileNotFoundError:
            continue
    return {
        "memory (MiB)": found["VmRSS"] / 1024,
        "descriptors": len(links),
        "sockets": sum(link.startswith("socket:") for link in links),
        "threads": found["Threads"],
    }


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    from tests.harness.cluster.chaos import attached_field
    from tests.harness.cluster.cluster import Cluster

    samples: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="gfattach-soak.") as directory,
        Cluster() as cluster,
        attached_field(Path(directory), cluster) as field,
    ):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends or len(samples) < 6:
            name, act = field.faults[len(samples) % len(field.faults)]
            print(field.run(name, act), file=sys.stderr, flush=True)
            time.sleep(SETTLE_SECONDS)
            samples.append(held(field.agent))
        ours, theirs = field.tallies()
        lost = [str(outcome) for outcome in field.outcomes if not outcome.kept]
    third = len(samples) // 3
    figures = []
    for name in samples[0]:
        first, last = ([each[name] for each in part] for part in (samples[:third], samples[-third:]))
        grown = statistics.median(last) / statistics.median(first)
        figures.append(Figure(f"{name}: the last third beside the first", [grown], "times", limit=FLAT))
    figures.append(Figure("builds that were not as they have to be", [len(lost)], "builds", limit=0))
    faults = ours.faults + theirs.faults
    figures.append(Figure("requests replayed, cut short or changed", [len(faults)], "requests", limit=0))
    notes = [
        f"{len(samples)} faults in {seconds:.0f} s, {ours.whole} numbered requests whole",
        *lost,
        *faults,
    ]
    return Results(figures, notes=notes).show()


if __name__ == "__main__":
    sys.exit(main())
