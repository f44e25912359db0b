"""Faults under an attached Bazel, one after another, on a real API server.

    python -m tests.harness.cluster.chaos [RUNS] [--long SECONDS] [--bazel LABEL]

With the machine's Bazel, or with that of a label of `tests.harness.machine.bazels`.

Each run: a build that takes a while is under way, connections carry numbered requests, something
breaks and comes back; the build under way has to succeed, and the next build, started at the moment of
the return with nothing changed, has to be served from the cache within 3 s; where the machine is too busy
for that, within 3 s more than such a build takes with nothing broken, or twice as long as one. It prints a
line a run and ends with 1 when any of that did not hold.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gfattach.agent.launch import supervisor
from gfattach.agent.launch.client import AgentClient
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.bazel.program.binary import Bazel
from gfattach.core.deadline import Deadline
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.developer import developer_machine
from tests.harness.cluster.manifests import KWOK_NODE, NAMESPACE, POD, PORTS, RUNTIME_NODE, SERVICE
from tests.harness.cluster.wire.traffic import Client, Server, Tally
from tests.harness.machine.bazels import BAZELS, offline_rc
from tests.harness.machine.developer import Machine

#: Cached actions of the build that has to hit, and actions of the one that is under way.
HITS, SLOW = 20, 8

#: Seconds after the return within which the next build has to be served.
RECOVERY_SECONDS = 3.0

_BUILD = """
[genrule(name = "hit%d" % n, outs = ["hit%d.txt" % n], cmd = "echo {seed} %d > $@" % n)
 for n in range({hits})]
[genrule(name = "slow%d" % n, outs = ["slow%d.txt" % n], srcs = ["nonce"],
         cmd = "sleep 0.2; cat $(SRCS) > $@") for n in range({slow})]
filegroup(name = "hits", srcs = [":hit%d" % n for n in range({hits})])
filegroup(name = "slow", srcs = [":slow%d" % n for n in range({slow})])
"""

_HIT = re.compile(r"(\d+) remote cache hit")


@dataclass(frozen=True)
class Outcome:
    """One run: the fault, hits of the next build, and seconds from the return to that build's end.

    `busy` is what such a build takes with nothing broken, asked where it was late: the machine's part.
    """

    fault: str
    hits: int
    seconds: float
    under_way: int
    down: float
    busy: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether the run was as it has to be."""
        allowed = self.busy + max(RECOVERY_SECONDS, self.busy)
        return self.hits == HITS and self.seconds <= allowed and self.under_way == 0

    def __str__(self) -> str:
        verdict = "kept" if self.kept else "LOST"
        busy = f" ({self.busy:4.2f} s with nothing broken)" if self.busy else ""
        return (
            f"{verdict}  {self.fault:<22} away {self.down:5.2f} s  {self.hits:>2} of {HITS} hits, "
            f"{self.seconds:4.2f} s after the return{busy}; build under way: {self.under_way}"
        )


@dataclass
class Field:
    """An attached machine, its builds, and what flows beside them."""

    cluster: Cluster
    machine: Machine
    server: Server
    client: Client
    agent: int
    control: Path
    program: str = "bazel"
    runs: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def bazel(self, base: str, *arguments: str) -> subprocess.Popen[str]:
        """A Bazel of the attached workspace, with a server of its own for each `base`."""
        return subprocess.Popen(
            [
                self.program,
                f"--output_base={self.machine.root / base}",
                "--max_idle_secs=120",
                f"--bazelrc={self.machine.workspace / '.gfattach/bazelrc'}",
                *arguments,
            ],
            cwd=self.machine.workspace,
            env=self.machine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, fault: str, act: Callable[[], None]) -> Outcome:
        """Let `act` break something and bring it back, with a build under way, and build at once then."""
        outcome = self._once(fault, act)
        if outcome.seconds > RECOVERY_SECONDS:
            undisturbed = [self._once("nothing broken", lambda: None).seconds for _ in range(3)]
            outcome = replace(outcome, busy=statistics.median(undisturbed))
        if not outcome.kept and outcome.busy > RECOVERY_SECONDS:
            # A machine on which such a build takes longer than all that is allowed says nothing of the limit.
            outcome = replace(self._once(fault, act), busy=outcome.busy)
        self.outcomes.append(outcome)
        return outcome

    def _once(self, fault: str, act: Callable[[], None]) -> Outcome:
        self.runs += 1
        (self.machine.workspace / "nonce").write_text(f"{os.getpid()} {self.runs}\n")
        self.finish(self.bazel("next", "clean"))
        under_way = self.bazel("slow", "build", "//:slow")
        time.sleep(0.5)
        began = time.monotonic()
        act()
        back = time.monotonic()
        code, said = self.finish(self.bazel("next", "build", "//:hits"))
        taken = time.monotonic() - back
        slow, _ = self.finish(under_way)
        found = _HIT.search(said)
        return Outcome(fault, int(found[1]) if found and code == 0 else 0, taken, slow, back - began)

    def finish(self, child: subprocess.Popen[str]) -> tuple[int, str]:
        """Its exit code and what it said."""
        said, _ = child.communicate(timeout=180)
        return child.returncode, said

    # What breaks.

    def pod_deleted(self) -> None:
        """The pod is gone and another takes its place, on the other node."""
        self.cluster.delete_pod(POD)
        time.sleep(0.5)
        self.cluster.create_pod(POD, node=(KWOK_NODE, RUNTIME_NODE)[self.runs % 2])

    def kubelet_killed(self) -> None:
        """The node's kubelet dies, and with it every connection to its pods."""
        self.cluster.kill_kwok()
        time.sleep(0.5)
        self.cluster.start_kwok()

    def apiserver_killed(self) -> None:
        """The API server dies and comes back."""
        self.cluster.kill_apiserver()
        time.sleep(0.5)
        self.cluster.start_apiserver()

    def cache_killed(self) -> None:
        """The cache itself dies behind its pod, and comes back with what it holds."""
        self.cluster.cache.kill()
        time.sleep(0.5)
        self.cluster.cache.start()

    def agent_stopped(self, seconds: float = 3.0) -> None:
        """The agent's process stands still, as when the machine sleeps."""
        os.kill(self.agent, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.agent, signal.SIGCONT)

    @property
    def faults(self) -> Sequence[tuple[str, Callable[[], None]]]:
        """What breaks, by name."""
        return (
            ("pod deleted", self.pod_deleted),
            ("kubelet killed", self.kubelet_killed),
            ("API server killed", self.apiserver_killed),
            ("cache killed", self.cache_killed),
            ("agent stopped 3 s", self.agent_stopped),
        )

    def tallies(self) -> tuple[Tally, Tally]:
        """What the client and the server of the numbered requests have seen, once these have ended."""
        return self.client.stop(), self.server.tally


@contextmanager
def attached_field(root: Path, cluster: Cluster, bazel: Bazel | None = None) -> Iterator[Field]:
    """A machine that is attached to the bed, with a filled cache and traffic under way.

    Its builds are those of `bazel`, or of the machine's own.
    """
    machine = developer_machine(root, cluster)
    program = "bazel" if bazel is None else str(bazel.path)
    if bazel is not None:
        machine.variables["BAZEL_BIN"] = program
        Path(machine.environment["HOME"], ".bazelrc").write_text(offline_rc(bazel))
    rules = _BUILD.format(seed=os.urandom(8).hex(), hits=HITS, slow=SLOW)
    (machine.workspace / "BUILD.bazel").write_text(rules)
    (machine.workspace / "nonce").write_text("0\n")
    _fill(machine, cluster, program)
    document = machine.json("up", "--no-nix")
    assert document["result"]["verdict"] in ("proved", "nothing-to-hit"), document["result"]
    server = Server()
    cluster.forward_target(PORTS["http"], "127.0.0.1", server.port)
    agent, port = _second_forward(machine)
    client = Client(port)
    pid = agent.status(Deadline.after(5)).pid
    made = Field(cluster, machine, server, client, pid, agent.control, program)
    try:
        for base, label in (("next", "//:hits"), ("slow", "//:hits")):
            made.finish(made.bazel(base, "build", label))
        yield made
    finally:
        client.stop()
        server.close()
        for base in ("next", "slow"):
            made.finish(made.bazel(base, "shutdown"))
        (machine.root / "traffic-record").unlink()  # the agent has nobody left but the machine
        machine.run("down")


def _fill(machine: Machine, cluster: Cluster, program: str) -> None:
    endpoint = f"grpc://127.0.0.1:{cluster.cache.grpc_port}"
    done = subprocess.run(
        [
            program,
            f"--output_base={machine.root / 'fill'}",
            "--batch",
            "build",
            "//:hits",
            f"--remote_cache={endpoint}",
            "--remote_upload_local_results",
        ],
        cwd=machine.workspace,
        env=machine.environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr


def _second_forward(machine: Machine) -> tuple[AgentClient, int]:
    """A forward for the numbered requests, held by the same agent: its client and its port."""
    [directory] = (machine.root / "home/.local/state/gfattach/agents").iterdir()
    client = supervisor.find(directory)
    assert client is not None
    record = machine.root / "traffic-record"
    record.touch()
    upstream = PodUpstream(NAMESPACE, SERVICE, "http")
    forward = ForwardSpec("traffic", upstream, Health("http", "/"))
    [status] = client.register(Registration(record, (forward,)), Deadline.after(10))
    assert status.port is not None
    return client, status.port


def main() -> int:
    """Run the faults in turn, and say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="?", type=int, default=100)
    parser.add_argument("--long", type=float, default=60.0, help="seconds of the one long stop of the agent")
    parser.add_argument("--bazel", choices=BAZELS, help="the Bazel that builds")
    options = parser.parse_args()
    bazel = BAZELS[options.bazel]() if options.bazel else None
    with (
        tempfile.TemporaryDirectory(prefix="gfattach-chaos.") as directory,
        Cluster() as cluster,
        attached_field(Path(directory), cluster, bazel) as made,
    ):
        for number in range(options.runs):
            name, act = made.faults[number % len(made.faults)]
            print(f"{number + 1:>4} {made.run(name, act)}", flush=True)
        if options.long:
            long = made.run(f"agent stopped {options.long:g} s", lambda: made.agent_stopped(options.long))
            print(f"long {long}", flush=True)
        ours, theirs = made.tallies()
        lost = [outcome for outcome in made.outcomes if not outcome.kept]
        print(f"{len(made.outcomes)} runs, {len(lost)} lost")
        print(f"numbered requests: {ours.whole} whole, ended with an error: {dict(ours.errors)}")
        print(f"replayed, cut short without an error, or changed: {ours.faults + theirs.faults or 'none'}")
        return 1 if lost or ours.faults or theirs.faults else 0


if __name__ == "__main__":
    sys.exit(main())
