"""Kills commands on one machine at random points, and holds it to what has to be true after each."""

from __future__ import annotations

import math
import sys
import time

from tests.harness.kills.scenarios import Scenario
from tests.harness.kills.scene import Broken, Scene
from tests.harness.kills.tally import Tally


class Killer:
    """Kills on one machine, until there are enough or `until` (on `time.monotonic()`) has passed."""

    def __init__(self, made: Scene, found: list[Scenario], tally: Tally, until: float = math.inf) -> None:
        self.scene = made
        self.scenarios = found
        self.tally = tally
        self.until = until
        self._takes: dict[str, float] = {}

    def once(self, scenario: Scenario) -> bool:
        """One kill; False for one that came too late."""
        before, kind = self.scene.snapshot(), ""
        try:
            with self.scene.building():
                kind = self._kill(scenario) if scenario.ready(self.scene) else "unready"
                self.scene.built_since(self.scene.number)
                self.scene.down(before)
        except (Broken, AssertionError) as error:
            self.tally.lose(f"{scenario.name}: {error}")
            print(f"LOST  {self.tally.lost[-1]}", flush=True)
            self.scene.machine.run("down")
        if kind:
            self.tally.count(kind, scenario.name)
        return kind == "killed"

    def _kill(self, scenario: Scenario) -> str:
        takes = self._takes.get(scenario.name, 5.0)
        part = self.scene.chance.random()
        began = time.monotonic()
        child = self.scene.start(scenario.command, scenario.environ)
        if self.scene.kill(child, part * takes):
            # One that is killed late and often takes longer than was thought.
            self._takes[scenario.name] = takes * (1.05 if part > 0.9 else 1.0)
            return "killed"
        self._takes[scenario.name] = time.monotonic() - began
        return "late"

    def run(self, count: int) -> None:
        """Kill until the tally has so many; what comes too late is no kill, and is tried again."""
        deck: list[Scenario] = []
        while self.tally.killed.total() < count and time.monotonic() < self.until:
            if not deck:
                fewest = min(self.tally.killed[each.name] / each.weight for each in self.scenarios)
                deck = [
                    each
                    for each in self.scenarios
                    if self.tally.killed[each.name] / each.weight < fewest + 1
                    for _ in range(each.weight)
                ]
                self.scene.chance.shuffle(deck)
            if self.once(deck[-1]):
                deck.pop()
                done, lost = self.tally.killed.total(), len(self.tally.lost)
                print(f"{done} kills, {lost} lost", file=sys.stderr, flush=True)
