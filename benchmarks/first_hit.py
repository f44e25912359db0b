"""The first hit beside what a person would do by hand, in one run.

    .venv/bin/python benchmarks/first_hit.py [ROUNDS]

Each round has, in turn and in an order that rotates, on a machine that has never seen any of it (a new home,
so that nothing is unpacked or remembered):

(a) `kubectl port-forward`, and through it a bare cold `bazel build` of 20 cached genrules, with a
hand-written rc; (b) a first-ever `gfattach up --no-nix` into the same cluster; (c) after `down`, a second
one on the same machine; (d) a first-ever `gfattach up --trial`, with Bazel and Nix.

The references are (a) from the start of kubectl to the end of the build, and of (d) the bare cold build of
(a) alone. Debian's Bazel is unpacked when it is installed, so that none of the four unpacks one; another
Bazel would in each. Every process is timed from outside. Needs Bazel, kubectl and the programs of the test
cluster (`python -m tests.harness.cluster.bed build`). Nothing outside a temporary directory is touched, all
of it is on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import Figure, Results, Timeline  # noqa: E402
from benchmarks.timing import rounds_asked  # noqa: E402

HITS = 20

BUILD = f"""
[genrule(name = "hit%d" % n, outs = ["hit%d.txt" % n], cmd = "echo cached %d > $@" % n) for n in
range({HITS})]
"""

#: What a person writes by hand.
RC = """
build --remote_cache=grpc://127.0.0.1:{port}
build --noremote_upload_local_results
build --remote_timeout=60
"""

#: At most so many times the reference.
LIMITS = {
    "first-ever up: first hit": 1.0,
    "first-ever up: all of it": 1.3,
    "second up: first hit": 0.7,
    "second up: all of it": 1.0,
    "first-ever up --trial: all of it, beside a bare cold build": 1.6,
}


@dataclass
class Rounds:
    """What every round took."""

    bare: list[float] = field(default_factory=list)
    build: list[float] = field(default_factory=list)
    attaches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def bare(cluster: Any, place: Path) -> tuple[float, float]:
    """(a): seconds of all of it, and of the build alone."""
    from tests.harness.cluster.manifests import NAMESPACE, SERVICE

    workspace = a_workspace(place)
    before = time.perf_counter()
    with forwarding(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", f"--namespace={NAMESPACE}", "port-forward"],
        f"service/{SERVICE}",
        place,
    ) as port:
        (workspace / "hand.bazelrc").write_text(RC.format(port=port))
        started = time.perf_counter()
        said = bazel(place, workspace, "--bazelrc=hand.bazelrc", "build", "//:all")
        ended = time.perf_counter()
    if f"{HITS} remote cache hit" not in said:
        sys.exit(f"the bare build was not served from the cache:\n{said}")
    return ended - before, ended - started


@contextlib.contextmanager
def forwarding(command: list[str], service: str, place: Path) -> Iterator[int]:
    """A running `kubectl port-forward`; its local port."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(place)}
    child = subprocess.Popen([*command, service, ":grpc"], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert child.stdout is not None
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", child.stdout.readline())
        assert found is not None
        yield int(found[1])
    finally:
        child.terminate()
        child.wait()


def bazel(place: Path, workspace: Path, *words: str) -> str:
    """What Bazel says, with a home of its own; its server is ended, which is not timed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(place)}
    root = f"--output_user_root={place}/bazel-root"
    command = ["bazel", root, "--max_idle_secs=60", *words]
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return done.stderr


def end_bazel(place: Path) -> None:
    """End the servers of `bazel` there."""
    for file in (place / "bazel-root").glob("*/server/server.pid.txt"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), 15)


def a_workspace(place: Path) -> Path:
    """A workspace with the genrules."""
    workspace = place / "bare"
    workspace.mkdir(parents=True)
    for name, text in (("WORKSPACE", ""), ("MODULE.bazel", ""), ("BUILD.bazel", BUILD)):
        (workspace / name).write_text(text)
    return workspace


def attach(machine: Any, *words: str) -> dict[str, Any]:
    """One `up`: seconds from outside, its first hit and its stages."""
    before = time.perf_counter()
    document = machine.json("up", *words)
    taken = time.perf_counter() - before
    hit = document["result"]["first_hit"]
    if hit is None or hit["client"] != "bazel":
        sys.exit(f"nothing was hit by Bazel: {json.dumps(document, indent=1)}")
    return {"seconds": taken, "hit": hit["seconds"], "document": document}


def main() -> int:
    rounds = rounds_asked(5)
    for program in ("kubectl", "bazel"):
        if shutil.which(program) is None:
            print(f"there is no {program}", file=sys.stderr)
            return 2
    from tests.harness.cluster.cluster import Cluster
    from tests.harness.cluster.developer import fill

    found = Rounds()
    with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as directory, Cluster() as cluster:
        top = Path(directory)
        fill(top / "operator", cluster)
        operator = top / "filled"
        workspace = a_workspace(operator)
        (workspace / "hand.bazelrc").write_text(RC.format(port=cluster.cache.grpc_port))
        bazel(
            operator, workspace, "--bazelrc=hand.bazelrc", "build", "--remote_upload_local_results", "//:all"
        )
        end_bazel(operator)
        for number in range(rounds + 1):  # the first warms the page cache and is not counted
            one = a_round(cluster, top / f"round-{number}", number)
            if number:
                found.bare += one.bare
                found.build += one.build
                for name, taken in one.attaches.items():
                    found.attaches.setdefault(name, []).extend(taken)
                print(f"round {number} of {rounds}: {summary(one)}", file=sys.stderr, flush=True)
    return told(found).show()


def a_round(cluster: Any, place: Path, number: int) -> Rounds:
    """All four, each on a machine of its own, beginning with another one each time."""
    from tests.harness.cluster.developer import developer_machine
    from tests.harness.machine.developer import make_machine

    made = Rounds()

    def by_hand() -> None:
        whole, build = bare(cluster, place / "hand")
        end_bazel(place / "hand")
        made.bare.append(whole)
        made.build.append(build)

    def into_the_cluster() -> None:
        machine = developer_machine(place / "cluster", cluster)
        for name in ("first-ever up", "second up"):
            made.attaches[name] = [attach(machine, "--no-nix")]
            machine.json("down")

    def into_the_trial() -> None:
        (place / "trial").mkdir(parents=True)
        machine = make_machine(place / "trial")
        made.attaches["first-ever up --trial"] = [attach(machine, "--trial")]
        machine.json("down")

    parts: list[Callable[[], None]] = [by_hand, into_the_cluster, into_the_trial]
    for shift in range(len(parts)):
        parts[(number + shift) % len(parts)]()
    shutil.rmtree(place, ignore_errors=True)
    return made


def summary(one: Rounds) -> str:
    """A round in a line."""
    parts = [f"by hand {one.bare[0]:.2f} s"]
    parts += [f"{name} {t['hit']:.2f} of {t['seconds']:.2f} s" for name, [t] in one.attaches.items()]
    return ", ".join(parts)


def told(found: Rounds) -> Results:
    """The figures, and the stages of the last round."""
    names = ("first-ever up", "second up", "first-ever up --trial")
    first, second, trial = (found.attaches[name] for name in names)
    measured = {
        "first-ever up: first hit": ([each["hit"] for each in first], found.bare),
        "first-ever up: all of it": ([each["seconds"] for each in first], found.bare),
        "second up: first hit": ([each["hit"] for each in second], found.bare),
        "second up: all of it": ([each["seconds"] for each in second], found.bare),
        "first-ever up --trial: all of it, beside a bare cold build": (
            [each["seconds"] for each in trial],
            found.build,
        ),
    }
    results = Results(
        [Figure(name, ours, "s", beside, LIMITS[name]) for name, (ours, beside) in measured.items()]
    )
    for name, attaches in found.attaches.items():
        document = attaches[-1]["document"]
        results.timelines.append(
            Timeline(
                name,
                [(each["name"], each["started"], each["seconds"]) for each in document["stages"]],
                [
                    (each["name"], each["beside"]["started"], each["beside"]["seconds"])
                    for each in document["stages"]
                    if each.get("beside")
                ],
                attaches[-1]["hit"],
            )
        )
    return results


if __name__ == "__main__":
    sys.exit(main())
