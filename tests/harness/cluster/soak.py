"""The soak: faults under real builds for a time, and what the agent holds after each."""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from pathlib import Path

from benchmarks.figures import Figure, Results
from gfattach.agent.launch.client import AgentClient
from gfattach.core.deadline import Deadline
from tests.harness.cluster.chaos import Field

MEMORY = "memory (MiB)"

#: Memory that is flat, in times of what it was.
FLAT = 1.1

#: Descriptors, sockets and tasks more that are no growth: connections that are being opened and closed.
MORE = 4

#: Looks, a second apart, whose median is what is held: connections come and go between two questions.
_LOOKS = 5

_ANSWER_SECONDS = 60.0


def soak(field: Field, seconds: float) -> Results:
    """Break things for `seconds`, two rounds of faults at least, and say what was held and what was lost."""
    samples: list[dict[str, float]] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or len(samples) < 2 * len(field.faults):
        name, act = field.faults[len(samples) % len(field.faults)]
        print(field.run(name, act), file=sys.stderr, flush=True)
        samples.append(held(field))
        print("      " + _said(samples[-1]), file=sys.stderr, flush=True)
    ours, theirs = field.tallies()
    lost = [str(outcome) for outcome in field.outcomes if not outcome.kept]
    counted = samples[len(field.faults) :]
    third = max(1, len(counted) // 3)
    figures = []
    for name in counted[0]:
        first, last = (
            statistics.median(each[name] for each in part) for part in (counted[:third], counted[-third:])
        )
        if name == MEMORY:
            figures.append(Figure(f"{name}: the last third", [last], "MiB", [first], limit=FLAT))
        else:
            figures.append(Figure(f"{name}: more in the last third", [last - first], "", limit=MORE))
    figures.append(Figure("builds that were not as they have to be", [len(lost)], "builds", limit=0))
    faults = ours.faults + theirs.faults
    figures.append(Figure("requests replayed, cut short or changed", [len(faults)], "requests", limit=0))
    notes = [
        f"{len(samples)} faults and {field.runs} runs of two builds in {seconds:.0f} s",
        f"{ours.whole} numbered requests whole, ended with an error: {sum(ours.errors.values())}",
        f"held after the first fault: {_said(samples[0])}",
        f"held after the last: {_said(samples[-1])}",
        *lost,
        *faults,
    ]
    return Results(figures, notes=notes)


def held(field: Field) -> dict[str, float]:
    """What the agent holds: memory, threads, and what it holds beyond its clients: each of these has a
    connection here, one to the upstream, and a task.
    """
    looks = []
    for _ in range(_LOOKS):
        time.sleep(1.0)
        status = AgentClient(field.control).status(Deadline.after(_ANSWER_SECONDS))
        clients = sum(each.open_connections for each in status.forwards)
        held = _of_process(field.agent)
        looks.append(
            {
                MEMORY: held[MEMORY],
                "threads": held["threads"],
                "descriptors beyond two of each client": held["descriptors"] - 2 * clients,
                "sockets beyond two of each client": held["sockets"] - 2 * clients,
                "tasks beyond one of each client": status.tasks - clients,
            }
        )
    return {name: statistics.median(each[name] for each in looks) for name in looks[0]}


def _said(sample: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sample.items())


def _of_process(pid: int) -> dict[str, float]:
    status = Path(f"/proc/{pid}/status").read_text()
    found = {name: int(value) for name, value in re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.M)}
    links = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            links.append(str(Path(entry.path).readlink()))
        except FileNotFoundError:
            continue
    return {
        MEMORY: found["VmRSS"] / 1024,
        "descriptors": len(links),
        "sockets": sum(link.startswith("socket:") for link in links),
        "threads": found["Threads"],
    }
