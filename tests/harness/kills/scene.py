"""A machine that commands are killed on: its plain builds, and what a `down` has to give back."""

from __future__ import annotations

import concurrent.futures
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.kills.tally import Tally
from tests.harness.machine.developer import Machine, make_machine
from tests.harness.machine.nixes import private_environment

#: Seconds for one command of Bazel or Nix on a machine that does other things too.
BUILD_SECONDS = 300.0

#: Seconds at most from one plain build to the next.
PAUSE_SECONDS = 4.0

#: Seconds for the processes of a killed command to be gone.
GONE_SECONDS = 180.0

_BUILD = """
genrule(name = "plain", srcs = ["number"], outs = ["plain.txt"], cmd = "cat $(SRCS) > $@")
"""

_DERIVATION = """
derivation {
  name = "plain-%d";
  system = "builtin";
  builder = "builtin:buildenv";
  derivations = [ ];
  manifest = "/dev/null";
}
"""

#: What stays below the home after a `down`: the secret that ports follow from, caches, and locks.
_STAYS = (".local/state/gfattach/key", ".cache/")


class Broken(Exception):
    """Something that has to hold did not."""


@dataclass
class Scene:
    """One machine with a workspace. `builds` says whether a Bazel and a Nix build after each kill."""

    machine: Machine
    chance: random.Random
    builds: bool = True
    tally: Tally = field(default_factory=Tally)
    number: int = 0
    finished: int = 0
    ignored: set[str] = field(default_factory=set)
    _wanted: threading.Event = field(default_factory=threading.Event)
    _building: concurrent.futures.Future[None] | None = None

    def start(self, words: Sequence[str], environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start gfattach as a person does."""
        return subprocess.Popen(
            [sys.executable, "-m", "gfattach", *words],
            cwd=self.machine.workspace,
            env=self.machine.environment | (environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    @property
    def attached(self) -> bool:
        """Whether there is a record of an attachment."""
        return (self.machine.state / "attachment.json").exists()

    def kill(self, child: subprocess.Popen[str], after: float) -> bool:
        """Kill the process itself after so many seconds; whether it was still at work."""
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            return True
        return False

    def plain_builds(self) -> None:
        """A plain `bazel build` and a plain `nix-build`, as whoever works here runs them meanwhile."""
        if self.builds:
            self.number += 1
            for program, build in (("bazel", self.bazel_build), ("nix-build", self.nix_build)):
                if shutil.which(program):
                    build()
                    self.tally.count("built", program)
            self.finished = self.number

    @contextmanager
    def building(self) -> Iterator[None]:
        """Plain builds beside what is done meanwhile, at random moments. Raises Broken for the first that
        failed.
        """
        enough = threading.Event()

        def build() -> None:
            took = 0.0
            while True:
                self._wanted.wait(took + random.uniform(0, PAUSE_SECONDS))
                self._wanted.clear()
                if enough.is_set():
                    return
                began = time.monotonic()
                self.plain_builds()
                took = time.monotonic() - began  # on a busy machine what is killed gets its part, too

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            self._building = pool.submit(build) if self.builds else None
            try:
                yield
            finally:
                enough.set()
                self._wanted.set()
            if self._building is not None:
                self._building.result()

    def built_since(self, number: int) -> None:
        """Wait for the end of a build that began after the one of this number."""
        while self._building is not None and not self._building.done() and self.finished <= number:
            self._wanted.set()
            time.sleep(0.05)
        self._wanted.clear()

    def bazel_build(self) -> None:
        """With all that the workspace's rc files import by now, by a server that stays."""
        (self.machine.workspace / "number").write_text(f"{self.number}\n")
        command = ["bazel", *self.bazel_root, "--max_idle_secs=600", "build", "//:plain"]
        self._succeeds(command, self.machine.environment, self.machine.workspace)

    @property
    def bazel_root(self) -> list[str]:
        """Where the user's own server is: outside of what a `down` is held to."""
        return [f"--output_user_root={self.machine.root / 'users-bazel'}"]

    def nix_build(self) -> None:
        """Of something new, with the fragment of the workspace included where there is one."""
        place = self.machine.root / "users-nix"
        environment = private_environment(place)
        fragment = self.machine.workspace / ".gfattach/nix.conf"
        if fragment.exists():
            environment["NIX_CONFIG"] = f"!include {fragment}"
        store = ["--store", f"local?root={place / 'root'}"]
        command = ["nix-build", *store, "--no-out-link", "-E", _DERIVATION % self.number]
        self._succeeds(command, environment, place)

    def _succeeds(self, command: list[str], environment: dict[str, str], cwd: Path) -> None:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS
        )
        if done.returncode != 0:
            raise Broken(f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-2000:]}")

    def snapshot(self) -> dict[str, bytes]:
        """Every file of workspace and home with its bytes, but what is to stay and what builds write."""
        found = {}
        for top in (self.machine.workspace, self.machine.root / "home"):
            for path in sorted(top.rglob("*")):
                name = str(path.relative_to(top))
                if path.is_symlink() or not path.is_file() or name.startswith((".git/", *_STAYS)):
                    continue
                if name != "number" and not any(name.startswith(each) for each in self.ignored):
                    found[f"{top.name}/{name}"] = path.read_bytes()
        return found

    def down(self, before: dict[str, bytes]) -> None:
        """Detach, and hold what is there then to what was there before."""
        done = self.machine.run("down", seconds=BUILD_SECONDS)
        if done.returncode != 0:
            raise Broken(f"down exited with {done.returncode}: {done.stdout}{done.stderr}")
        after = self.snapshot()
        if changed := {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}:
            raise Broken(f"not as it was: {sorted(changed)}")
        limit = time.monotonic() + GONE_SECONDS
        while left := [line for line in self.machine.processes() if "users-" not in line]:
            if time.monotonic() > limit:
                raise Broken(f"still there: {left}")
            time.sleep(0.1)


@contextmanager
def scene(root: Path, seed: int, *, builds: bool = True, tally: Tally | None = None) -> Iterator[Scene]:
    """A machine whose workspace builds something, and whose rc file imports what `--link` writes to."""
    root.mkdir(parents=True, exist_ok=True)
    machine = make_machine(root)
    (machine.workspace / "BUILD.bazel").write_text(_BUILD)
    (machine.workspace / ".bazelrc").write_text(
        "try-import %workspace%/user.bazelrc\nbuild --symlink_prefix=/\n"
    )
    (machine.workspace / "user.bazelrc").write_text("# of the user's own\nbuild --keep_going\n")
    machine.git("add", ".")
    machine.git("commit", "--quiet", "--message", "something to build")
    made = Scene(machine, random.Random(seed), builds, tally or Tally())
    try:
        yield made
    finally:
        machine.run("down", seconds=BUILD_SECONDS)
        if builds and shutil.which("bazel"):
            command = ["bazel", *made.bazel_root, "shutdown"]
            subprocess.run(command, cwd=machine.workspace, env=machine.environment, capture_output=True)
