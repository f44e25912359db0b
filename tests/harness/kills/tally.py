"""What was killed and what was lost, of one run or of several that go on where the last one ended."""

from __future__ import annotations

import collections
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gfattach.core.files import write_atomic


@dataclass
class Tally:
    """Counts by the name of what was killed, or of the program that built. For several threads.

    `late` were over before they were to be killed, `unready` had a machine too busy to be made ready: neither
    is a kill, and what has to hold was held to all the same. With a `file` it goes on from what that holds.
    """

    file: Path | None = None
    killed: collections.Counter[str] = field(default_factory=collections.Counter)
    late: collections.Counter[str] = field(default_factory=collections.Counter)
    unready: collections.Counter[str] = field(default_factory=collections.Counter)
    built: collections.Counter[str] = field(default_factory=collections.Counter)
    lost: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.file is not None and self.file.exists():
            held = json.loads(self.file.read_text(encoding="utf-8"))
            for name in ("killed", "late", "unready", "built"):
                getattr(self, name).update(held[name])
            self.lost += held["lost"]

    def count(self, kind: str, name: str) -> None:
        """One more of "killed", "late", "unready" or "built"."""
        with self._lock:
            getattr(self, kind)[name] += 1
            self._save()

    def lose(self, said: str) -> None:
        """Something that has to hold did not."""
        with self._lock:
            self.lost.append(said)
            self._save()

    def _save(self) -> None:
        if self.file is not None:
            kinds = {kind: getattr(self, kind) for kind in ("killed", "late", "unready", "built")}
            write_atomic(self.file, json.dumps({**kinds, "lost": self.lost}, indent=1).encode())

    def notes(self, names: Sequence[str]) -> list[str]:
        """A line for each of what can be killed, and one for each program that built meanwhile."""
        kills = [f"{name}: {self.killed[name]} kills" for name in names]
        late, unready = self.late.total(), self.unready.total()
        beside = [f"{program}: {count} plain builds beside" for program, count in self.built.items()]
        return [*kills, *beside, f"{late} were over before, {unready} were not made ready: held to the same"]
