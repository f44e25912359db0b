"""A build under an attachment whose substituter dies and comes back, over and over, with a real Nix.

The cache is a process of its own, killed without a warning and started again at its port. Nix keeps what
it learnt of it (its cache of narinfos) from round to round, which is what makes a dead one fatal; only the
store is new for each build.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gfattach.core.files import remove_tree
from gfattach.fragments import nixconf
from gfattach.nix.program import nix_store
from tests.harness.cluster.agents import wait_for
from tests.harness.machine.developer import ROOT
from tests.harness.machine.nixes import (
    BUILD_SECONDS,
    FOLLOWED_SECONDS,
    hold_guard_to,
    private_environment,
    real_nix,
)
from tests.harness.machine.ports import free_port

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

#: Deaths and returns in a row.
ROUNDS = int(os.environ.get("GFATTACH_GUARD_ROUNDS", "50"))

_SERVE = """
import sys
from pathlib import Path
from gfattach.trial.nix_server import NixCacheServer
server = NixCacheServer(Path(sys.argv[1]), port=int(sys.argv[2]))
server.start()
print(server.public_key, flush=True)
sys.stdin.read()
"""

#: What the cache holds, as something that a Nix without it can build.
_EXPRESSION = """derivation {
  name = "gfattach-trial-signed-v1";
  system = "builtin";
  builder = "builtin:buildenv";
  derivations = [ ];
  manifest = "/dev/null";
}
"""


class CacheProcess:
    """A real binary cache in a process of its own, at one port for all its lives."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self.public_key = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self._directory), str(self.port)],
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.public_key = self._process.stdout.readline().strip()
        assert self.public_key

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


@dataclass
class Builder:
    """A shell that `gfattach env` made an attached one, and builds into an empty store each time."""

    root: Path
    environment: dict[str, str]
    built: int = field(default=0)

    def build(self, *prefix: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        """One `nix-build`: its seconds, and how it ended."""
        self.built += 1
        store = self.root / f"store-{self.built}"
        command = [str(nix_store(real_nix()).with_name("nix-build")), "--store", f"local?root={store}"]
        began = time.monotonic()
        done = subprocess.run(
            [*prefix, *command, "--no-out-link", "signed.nix"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        took = time.monotonic() - began
        remove_tree(store)
        return took, done


@pytest.fixture
def cache(tmp_path):
    served = CacheProcess(tmp_path / "cache")
    served.start()
    yield served
    served.kill()


@pytest.fixture
def attached(machine, cache):
    """A machine that is attached to `cache` directly, with a Nix that keeps everything below it."""
    real_nix()
    private = private_environment(machine.root / "nix")
    machine.variables |= {name: value for name, value in private.items() if name.startswith("NIX_")}
    endpoint = f"http://127.0.0.1:{cache.port}"
    machine.json("up", "--substituter", endpoint, "--public-key", cache.public_key, "--no-bazel")
    machine.fragment = machine.workspace / ".gfattach/nix.conf"
    machine.full = machine.fragment.read_text()
    (machine.root / "nix/signed.nix").write_text(_EXPRESSION)
    assert endpoint in machine.full
    return machine


def builder(machine) -> Builder:
    """A shell after `eval "$(gfattach env)"`."""
    script = f'eval "$({sys.executable} -m gfattach env)" && env -0'
    done = subprocess.run(
        ["sh", "-c", script], cwd=machine.workspace, env=machine.environment, capture_output=True, check=True
    )
    shown = (item.partition("=") for item in done.stdout.decode().split("\0") if item)
    environment = {name: value for name, _, value in shown}
    assert environment["NIX_CONFIG"] == nixconf.include_line(machine.fragment)
    return Builder(machine.root / "nix", environment)


def substituted(done) -> bool:
    return done.returncode == 0 and "from 'http://127.0.0.1:" in done.stderr


def built_here(done) -> bool:
    return done.returncode == 0 and "building '" in done.stderr and "copying path" not in done.stderr


def test_a_substituter_that_dies_and_returns_costs_no_build_over_and_over(attached, cache):
    shell = builder(attached)
    emptied, restored, builds = [], [], []
    took, done = shell.build()
    assert substituted(done), done.stderr
    for round_ in range(ROUNDS):
        cache.kill()
        emptied.append(wait_for(lambda: attached.fragment.read_text() == nixconf.emptied()))
        took, done = shell.build()
        assert built_here(done), f"round {round_}: {done.stderr}"
        builds.append(took)
        cache.start()
        restored.append(wait_for(lambda: attached.fragment.read_text() == attached.full))
        took, done = shell.build()
        assert substituted(done), f"round {round_}: {done.stderr}"
        builds.append(took)
    hold_guard_to(emptied, restored, builds)


def test_exec_builds_beside_a_dead_substituter_and_substitutes_from_one_that_is_back(attached, cache):
    shell = Builder(attached.root / "nix", attached.environment)
    gfattach = (sys.executable, "-m", "gfattach", "exec", "--workspace", str(attached.workspace), "--")
    assert substituted(shell.build(*gfattach)[1])
    cache.kill()
    took, done = shell.build(*gfattach)
    assert built_here(done) and took < BUILD_SECONDS, done.stderr
    cache.start()
    wait_for(lambda: attached.fragment.read_text() == attached.full, FOLLOWED_SECONDS)
    assert substituted(shell.build(*gfattach)[1])


def agents(machine) -> list[int]:
    """Both processes that an attachment leaves running: the agent, and who waits for its end."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if b"gfattach.agent" in line and os.fsencode(machine.root) in line:
                found.append(int(entry.name))
    return found


def test_an_agent_that_is_killed_leaves_no_full_fragment_beside_a_dead_substituter(attached, cache):
    shell = builder(attached)
    assert substituted(shell.build()[1])
    os.kill(attached.json("status")["result"]["agent"]["pid"], signal.SIGKILL)
    emptied = wait_for(lambda: attached.fragment.read_text() == nixconf.emptied())
    assert emptied < FOLLOWED_SECONDS
    cache.kill()
    took, done = shell.build()
    assert built_here(done) and took < BUILD_SECONDS, done.stderr


@pytest.mark.parametrize("command", ["exec", "env"])
def test_where_everything_of_it_was_killed_the_next_command_has_it_again(attached, cache, command):
    """Nothing is left that could empty the fragment when the substituter dies next."""
    shell = builder(attached)
    assert substituted(shell.build()[1])
    pids = agents(attached)
    assert len(pids) == 2
    for pid in sorted(pids, key=lambda pid: b"watchdog" not in Path(f"/proc/{pid}/cmdline").read_bytes()):
        os.kill(pid, signal.SIGKILL)
    cache.kill()
    assert attached.fragment.read_text() == attached.full
    prefix: tuple[str, ...] = (
        sys.executable,
        "-m",
        "gfattach",
        "exec",
        "--workspace",
        str(attached.workspace),
        "--",
    )
    if command == "env":
        shell, prefix = builder(attached), ()
    took, done = shell.build(*prefix)
    assert built_here(done) and took < BUILD_SECONDS, done.stderr
    cache.start()
    wait_for(lambda: attached.fragment.read_text() == attached.full, FOLLOWED_SECONDS)
    assert substituted(shell.build()[1])


def test_an_up_that_finds_the_substituter_dead_has_the_agent_give_it_up(attached, cache):
    """Else an agent that no record names would fill the fragment again, once the cache is back."""
    site = ("--substituter", f"http://127.0.0.1:{cache.port}", "--public-key", cache.public_key)
    assert len(agents(attached)) == 2
    cache.kill()
    document = attached.json("up", *site, "--no-bazel", code=1)
    assert document["result"]["not_proved"] == ["nix: the substituter did not pass its probes"]
    wait_for(lambda: agents(attached) == [])
    cache.start()
    assert attached.fragment.read_text() == nixconf.emptied()
