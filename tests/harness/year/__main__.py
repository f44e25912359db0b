"""A year of an attached machine, on a clock that skips what nothing happens in.

    .venv/bin/python -m tests.harness.year [DAYS] [--seed N] [--events N]

The agent's own code, from its registrations to its end, with real sockets, TLS and an exec plugin, against a
cluster and a cache in the same process. A day has an event, or more, drawn by the seed from those of
`tests.harness.year.events`, the rest of it the machine sleeps. After each event every
forward has to be up, its fragment full and a numbered request answered whole, within the agent's own
deadlines. At the end of each day the process may hold no more tasks and descriptors than on the first. Ends
with 1 where anything did not hold.

Not accelerated: the dates in certificates, which OpenSSL holds against the machine's own clock (they are
rotated, and do not run out), processes (the plugin, the watchdog) and, in an upgrade, the new program: it is
the same one, which resumes what the one before held. The API server is as much of one as the agent asks for;
a real one is in `tests/cluster` and in the soak.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, Results
from tests.harness.year.clock import DAY, Clock, install
from tests.harness.year.loop import SimulatedLoop

if TYPE_CHECKING:  # gfattach is imported when the clock is installed
    from tests.harness.year.attached import Attached
    from tests.harness.year.events import Event

DAYS = 365

#: More than on the first day that a process may hold: connections that are about to be opened or closed.
_SLACK = 12


#: Seconds for all to be well after something was lost.
_PATIENCE = 120.0

#: Days after which what is loaded once is loaded, and memory is compared.
_WARM = 30


class Year:
    """Counts, by the name of what happened."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.chance = random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        self.longest: dict[str, float] = {}
        self.lost: list[str] = []
        self.held: list[tuple[int, int, float]] = []
        self.requests = self.cut = self.agents = self.tokens = 0

    async def live(self, root: Path, days: int, events: int) -> None:
        """So many days, with so many events each."""
        from tests.harness.year.attached import BACK, Attached
        from tests.harness.year.events import EVENTS, sleep

        asyncio.get_running_loop().set_exception_handler(self._unhandled)
        at = Attached(root, self.clock)
        await at.begin()
        await at.well(BACK)
        deck: list[int] = []
        for day in range(days):
            ends = (day + 1) * DAY
            for _ in range(events):
                if not deck:
                    deck = [number for number, each in enumerate(EVENTS) for _ in range(each.weight)]
                    self.chance.shuffle(deck)
                event = EVENTS[deck.pop()]
                await asyncio.sleep(self.chance.uniform(1, 15))
                await self._once(at, event, day)
            await asyncio.sleep(10)
            self._look(day)
            await sleep(at, self.chance, max(0.0, ends - self.clock.boottime))
            await self._well(at, "night", day, BACK)
            if day % 10 == 9:
                print(f"{day + 1} days, {len(self.lost)} lost", file=sys.stderr, flush=True)
        await at.end()
        self.requests, self.cut, self.agents = at.requests, at.cut, at.agents
        self.tokens = len(at.cluster.shown)

    async def _once(self, at: Attached, event: Event, day: int) -> None:
        from tests.harness.year.attached import Lost

        client = await at.hold()
        try:
            seconds = await event.act(at, self.chance)
        except Lost as lost:
            self._lose(event.name, day, str(lost))
            seconds = _PATIENCE
        await self._well(at, event.name, day, seconds)
        try:
            await at.finish(client)
        except Lost as lost:
            self._lose(event.name, day, str(lost))

    async def _well(self, at: Attached, name: str, day: int, seconds: float) -> None:
        from tests.harness.year.attached import Lost

        self.counts[name] += 1
        try:
            took = await at.well(seconds)
            self.longest[name] = max(took, self.longest.get(name, 0.0))
        except Lost as lost:
            self._lose(name, day, str(lost))
            if not at.serves:
                await at.start()
            await at.register()
        if at.errors.said:
            self._lose(name, day, at.errors.said.pop(0))
            at.errors.said.clear()

    def _lose(self, name: str, day: int, said: str) -> None:
        self.lost.append(f"day {day + 1}, {name}: {said}")
        print(f"LOST  {self.lost[-1]}", file=sys.stderr, flush=True)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._lose("the event loop", int(self.clock.boottime // DAY), f"{context['message']}: {context}")

    def _look(self, day: int) -> None:
        from tests.harness.year.attached import descriptors

        found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
        assert found is not None
        self.held.append((len(asyncio.all_tasks()), descriptors(), int(found[1]) / 1024))
        tasks, files, _ = self.held[-1]
        if tasks > self.held[0][0] + _SLACK or files > self.held[0][1] + _SLACK:
            self._lose(
                "end of the day", day, f"{tasks} tasks and {files} descriptors, at first {self.held[0]}"
            )


def simulate(days: int, seed: int, events: int) -> Year:
    """Live so many days, on the loop of a simulated clock."""
    clock = Clock()
    install(clock)
    with tempfile.TemporaryDirectory(prefix="gfy.") as text:
        os.environ |= {"HOME": text, "XDG_RUNTIME_DIR": text, "XDG_STATE_HOME": f"{text}/state"}
        year = Year(clock, seed)
        with asyncio.Runner(loop_factory=lambda: SimulatedLoop(clock)) as runner:
            runner.run(year.live(Path(text), days, events))
    return year


def report(year: Year, days: int, took: float) -> int:
    """Print what happened and what was lost; the exit code."""
    warm = [memory for _, _, memory in year.held[_WARM:]]
    third = len(warm) // 3
    grown = [statistics.median(warm[-third:]) / statistics.median(warm[:third])] if third else []
    awake = year.clock.monotonic
    notes = [
        f"{name}: {count} times, well again after at most {year.longest.get(name, 0.0):.1f} s"
        for name, count in sorted(year.counts.items())
    ]
    notes += [
        f"{year.requests} numbered requests answered whole; of the connections that clients kept meanwhile "
        f"{year.cut} ended with their other end; {year.tokens} tokens shown, {year.agents} agents",
        f"{year.clock.boottime / DAY:.0f} days, {awake / 3600:.0f} h of them awake, in {took:.0f} s: "
        f"{year.clock.boottime / took:,.0f} times as fast, {awake / took:,.0f} times while awake",
        "at the end of the first day {} tasks and {} descriptors".format(*year.held[0]),
        "at the end of the last day {} tasks and {} descriptors".format(*year.held[-1]),
    ]
    return Results(
        [
            Figure("days", [days], "days"),
            Figure("events", [year.counts.total()], "events"),
            Figure("not well within the agent's own deadlines", [len(year.lost)], "events", limit=0),
            *(
                Figure("memory: the last third beside the first", [each], "times", limit=1.1)
                for each in grown
            ),
        ],
        notes=[*notes, *year.lost],
    ).show()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("days", nargs="?", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=1, help="of a day")
    options = parser.parse_args()
    # The agent tells its parent on standard output that it is ready, and closes that.
    shown = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    began = time.perf_counter()
    year = simulate(options.days, options.seed, options.events)
    sys.stdout.flush()
    os.dup2(shown, 1)
    return report(year, options.days, time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
