"""Kill commands at random points, and count what was lost.

    .venv/bin/python -m tests.harness.kills [COUNT] [--seed N] [--jobs N] [--minutes N] [--only TEXT]

Each time: the machine is made ready, the command is begun and killed after a random part of the time that it
takes, and `down` has to give back every file byte for byte and leave no process. Plain `bazel build` and
`nix-build` run at random moments all the while: beside the command, after the kill, and beside the `down`. No
scenario comes up again before each other has had its share. Then the four conditions: a full disk, a
read-only one, an `up` that races another, a workspace that is moved. Ends with 1 where anything was lost.
Needs Bazel, Nix and the programs of the test cluster.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.figures import Figure, Results
from tests.harness.kills.conditions import CONDITIONS
from tests.harness.kills.scenarios import Scenario, scenarios
from tests.harness.kills.scene import Broken, Scene, scene

COUNT = 500


class Killer:
    """Kills, and keeps count: kills that came in time, and what was lost, each by the name of what was
    killed.
    """

    def __init__(self, made: Scene, found: list[Scenario]) -> None:
        self.scene = made
        self.scenarios = found
        self.killed: collections.Counter[str] = collections.Counter()
        self.late: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []
        self.until = float("inf")
        self._takes: dict[str, float] = {}

    def once(self, scenario: Scenario) -> None:
        """One kill."""
        before = self.scene.snapshot()
        try:
            with self.scene.building():
                scenario.ready(self.scene)
                self._kill(scenario)
                self.scene.built_since(self.scene.number)
                self.scene.down(before)
        except (Broken, AssertionError) as error:
            self.lost.append(f"{scenario.name}: {error}")
            self.scene.machine.run("down")

    def _kill(self, scenario: Scenario) -> None:
        takes = self._takes.get(scenario.name, 5.0)
        part = self.scene.chance.random()
        began = time.monotonic()
        child = self.scene.start(scenario.command, scenario.environ)
        if self.scene.kill(child, part * takes):
            self.killed[scenario.name] += 1
            # One that is killed late and often takes longer than was thought.
            self._takes[scenario.name] = takes * (1.05 if part > 0.9 else 1.0)
        else:
            self.late[scenario.name] += 1
            self._takes[scenario.name] = time.monotonic() - began

    def run(self, count: int) -> None:
        """So many kills; what comes too late is no kill, and is tried again."""
        deck: list[Scenario] = []
        while self.killed.total() < count and self.late.total() < 3 * count:
            if not deck:
                deck = [each for each in self.scenarios for _ in range(each.weight)]
                self.scene.chance.shuffle(deck)
            scenario = deck[-1]
            lost, late = len(self.lost), self.late.total()
            self.once(scenario)
            if self.late.total() == late:
                deck.pop()
            if len(self.lost) > lost:
                print(f"LOST  {self.lost[-1]}", flush=True)
            elif self.killed.total() % 10 == 0:
                print(f"{self.killed.total()} kills, {len(self.lost)} lost", file=sys.stderr, flush=True)
            if time.monotonic() > self.until:
                break


@contextmanager
def killers(root: Path, options: argparse.Namespace) -> Iterator[list[Killer]]:
    """As many as there are jobs, each with a machine of its own, on one cluster."""
    from tests.harness.cluster.cluster import Cluster
    from tests.harness.cluster.developer import fill

    with Cluster() as cluster, ExitStack() as stack:
        fill(root / "operator", cluster)
        made = []
        for job in range(options.jobs):
            place = root / f"job-{job}"
            one = stack.enter_context(scene(place / "m", options.seed + job, builds=not options.no_builds))
            found = stack.enter_context(scenarios(one, place, cluster))
            killer = Killer(one, [each for each in found if options.only in each.name])
            killer.until = time.monotonic() + 60 * options.minutes
            made.append(killer)
        yield made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="?", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose names hold this")
    parser.add_argument("--no-builds", action="store_true", help="no plain builds between")
    parser.add_argument("--jobs", type=int, default=2, help="machines at once, each with kills of its own")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no kill begins after these")
    options = parser.parse_args()
    os.environ.setdefault("GFATTACH_TEST_CACHE", str(Path.home() / ".cache/gfattach-tests"))
    with (
        tempfile.TemporaryDirectory(prefix="gfk.") as directory,
        killers(Path(directory), options) as made,
    ):
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            each = -(-options.count // options.jobs)
            for done in [pool.submit(killer.run, each) for killer in made]:
                done.result()
        conditions = {}
        for name, condition in CONDITIONS.items():
            if options.only in name:
                conditions[name] = condition(made[0].scene)
    return report(made, conditions)


def report(made: list[Killer], conditions: dict[str, str]) -> int:
    """Print what was killed and what was lost; the exit code."""
    lost = [said for killer in made for said in killer.lost]
    lost += [f"{name}: {said}" for name, said in conditions.items() if said]
    killed = sum((killer.killed for killer in made), collections.Counter[str]())
    built = sum((killer.scene.built for killer in made), collections.Counter[str]())
    return Results(
        [
            Figure("kills at random points", [killed.total()], "kills", limit=COUNT, more=True),
            Figure("lost", [len(lost)], "kills", limit=0),
        ],
        notes=[f"{each.name}: {killed[each.name]} kills" for each in made[0].scenarios]
        + [f"{program}: {number} runs beside" for program, number in built.items()]
        + [f"{name}: {said or 'nothing lost'}" for name, said in conditions.items()]
        + lost,
    ).show()


if __name__ == "__main__":
    sys.exit(main())
