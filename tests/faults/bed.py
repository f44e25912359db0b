"""A machine on which a fault is seeded and the doctor is asked, as a process of its own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.starter import SECONDS, Starter
from tests.harness.machine.developer import Machine, make_machine


@dataclass
class Bed:
    """`arguments` are the doctor's, `prefix` is what starts it (prlimit, unshare), `stack` holds servers."""

    machine: Machine
    stack: ExitStack
    starter: Starter
    shared: Any
    arguments: list[str] = field(default_factory=list)
    prefix: list[str] = field(default_factory=list)

    def directory(self, name: str) -> Path:
        """A directory of that name beside the workspace."""
        path = self.machine.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, text: str, *, tracked: bool = False) -> Path:
        """A file of the workspace."""
        path = self.machine.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if tracked:
            self.machine.git("add", "--force", name)
        return path

    def program(self, name: str, script: str) -> Path:
        """A program in shell that comes before every other of that name."""
        path = self.directory("bin") / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        self.machine.variables["PATH"] = f"{path.parent}:{os.environ['PATH']}"
        return path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run gfattach to its end."""
        return self.starter.run(words, self.machine.environment, self.machine.workspace)

    def doctor(self) -> dict[str, Any]:
        """The document of one run."""
        words = ["doctor", "--output", "json", *self.arguments]
        if self.prefix:
            done = subprocess.run(
                [*self.prefix, sys.executable, "-m", "gfattach", *words],
                cwd=self.machine.workspace,
                env=self.machine.environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
        else:
            done = self.run(*words)
        assert "Traceback" not in done.stderr, done.stderr
        try:
            document: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"{done.returncode}\n{done.stdout}\n{done.stderr}") from None
        return document


@contextmanager
def bed(
    root: Path, starter: Starter, shared: Any, set_up: Callable[[Bed], None], seed: Callable[[Bed], object]
) -> Iterator[Bed]:
    """A machine that is set up and has the fault; all that it started is ended with it."""
    with ExitStack() as stack:
        made = Bed(_machine(root), stack, starter, shared)
        set_up(made)
        seed(made)
        yield made


def _machine(root: Path) -> Machine:
    """A machine of the tests: a copy of one that was made before, for git takes its time."""
    shutil.copytree(_template(), root, dirs_exist_ok=True, symlinks=True)
    return Machine(root)


@functools.cache
def _template() -> Path:
    place = tempfile.TemporaryDirectory(prefix="gfattach-faults-")
    atexit.register(place.cleanup)
    return make_machine(Path(place.name)).root


def first_causes(document: dict[str, Any]) -> list[str]:
    """The codes of the causes that a run's verdict gives, the first one first."""
    codes = {found["probe"]: found["code"] for stage in document["stages"] for found in stage["findings"]}
    return [codes[probe] for probe in document["result"]["verdict"]["roots"]]


def all_codes(document: dict[str, Any]) -> set[str]:
    """Every code of a run that is not well."""
    return {
        found["code"]
        for stage in document["stages"]
        for found in stage["findings"]
        if found["status"] in ("warn", "fail", "unknown")
    }
