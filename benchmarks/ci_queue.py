"""`gfattach queue` beside `kubectl get ephemeralrunners,pods -A -o name` for the same objects, in one run.

    python benchmarks/ci_queue.py [ROUNDS]

Needs kubectl and the programs of the test cluster (`python -m tests.harness.cluster.bed build`). It is
filled to three sizes, up to 2,000 runners, 5,000 pods and 200 nodes; at each, both are run in turn. Three
limits: the median ratio at full size, gfattach's peak memory there, and its growth: what the second half of
the objects costs, of what the first half did. Nothing outside a temporary directory is touched, all of it is
on 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RUNNERS, PODS, NODES = 2000, 5000, 200

#: What is asked about; all objects are read for it.
LABEL = "set-00"

#: Of kubectl's time; MiB; of the first half's cost.
RATIO, MEMORY, GROWTH = 1.5, 120.0, 1.35


@dataclass
class Took:
    """One run of a command: seconds, processor seconds, and the most memory that it had, in MiB."""

    seconds: float
    processor: float
    memory: float


#: Runs a command and prints what it took. A small process does it: the most memory that a process had counts
#: from before it became another program, and so holds what the one that forked it had.
_WITNESS = """
import resource, subprocess, sys, time
before = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
taken, used = time.perf_counter() - before, resource.getrusage(resource.RUSAGE_CHILDREN)
print(taken, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(code)
"""


def measured(command: Sequence[str], environment: dict[str, str]) -> Took:
    """Run `command` as a whole process. It has to succeed: its errors end the benchmark."""
    witness = [sys.executable, "-I", "-S", "-c", _WITNESS, *command]
    done = subprocess.run(witness, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return Took(*map(float, done.stdout.split()))


def fleet_of(runners: int, pods: int, nodes: int) -> Any:
    """The documents of a cluster of that size: busy runners of 20 scale sets, and pods of other work."""
    from tests.harness.arc.objects import Fleet, pod_spec

    made = Fleet()
    for number in range(nodes):
        made.node(f"node-{number:04d}")
    sets = [made.scale_set(f"set-{number:02d}", maximum=runners) for number in range(20)]
    for number in range(runners):
        repository = f"tinyland-inc/repository-{number % 40:02d}"
        made.runner(sets[number % 20], repository=repository, run=number, node=f"node-{number % nodes:04d}")
    spec = pod_spec(volumes=[{"name": "work", "emptyDir": {}}])
    for number in range(pods - runners - 20):
        made.pod(f"work-{number:05d}", "default", 600, spec=spec, node=f"node-{number % nodes:04d}")
    return made


def fill(cluster: Any, documents: Sequence[dict[str, Any]]) -> None:
    """Have the API server hold the documents, as large as real ones: with managed fields."""
    from tests.harness.arc.maker import HOLD

    for each in documents:
        metadata = each["metadata"]
        metadata["uid"] = str(uuid.uuid5(uuid.NAMESPACE_URL, metadata["uid"]))
        for owner in metadata.get("ownerReferences", ()):
            owner["uid"] = str(uuid.uuid5(uuid.NAMESPACE_URL, owner["uid"]))
        metadata["annotations"] = {**metadata.get("annotations", {}), **HOLD}
        metadata["managedFields"] = [managed(each, part) for part in ("spec", "status") if each.get(part)]
    cluster.store(documents)


def managed(document: dict[str, Any], part: str) -> dict[str, Any]:
    """The entry of a writer that manages all fields of a part."""

    def fields(value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return {f"f:{key}": fields(each) for key, each in value.items()}
        if isinstance(value, list):
            return {f'k:{{"name":"{number}"}}': fields(each) for number, each in enumerate(value)}
        return {}

    made = {
        "manager": "manager",
        "operation": "Update",
        "apiVersion": document["apiVersion"],
        "time": document["metadata"]["creationTimestamp"],
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:{part}": fields(document[part])},
    }
    return made | ({"subresource": "status"} if part == "status" else {})


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        sys.exit("no kubectl; install it: apt-get install kubernetes-client")
    from tests.harness.arc.bed import VIEWER, ArcCluster, viewer_rules
    from tests.harness.cluster.build import locate

    whole = fleet_of(RUNNERS, PODS, NODES).documents
    parts = [[each for each in whole if early(each)], [each for each in whole if not early(each)]]
    with (
        tempfile.TemporaryDirectory(prefix="gfattach-bench-") as home,
        ArcCluster(Path(home) / "bed", locate()) as cluster,
    ):
        viewer = cluster.user(VIEWER, viewer_rules(), None)
        environment = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(ROOT)}
        queue = [sys.executable, "-m", "gfattach", "queue", LABEL, "--kubeconfig", str(viewer)]
        get = [
            kubectl,
            "--kubeconfig",
            str(cluster.admin_kubeconfig),
            "get",
            "ephemeralrunners,pods",
            "-A",
        ]
        commands = {"gfattach queue": queue, "kubectl get": [*get, "-o", "name"]}
        sizes: list[dict[str, list[Took]]] = []
        for part in ([], *parts):
            before = time.perf_counter()
            fill(cluster, part)
            print(f"{len(part)} objects made in {time.perf_counter() - before:.0f} s", file=sys.stderr)
            sizes.append(in_turn(commands, environment, rounds))
    return told(sizes, rounds)


def early(document: dict[str, Any]) -> bool:
    """Whether it is in the first half: every other runner with its pod, node and pod, and all that is one."""
    name, kind = document["metadata"]["name"], document["kind"]
    if kind in ("EphemeralRunner", "Pod") and "-runner-" in name:
        return int(name.rpartition("-")[2]) % 2 == 0
    if kind in ("Node", "Pod") and not name.endswith("-listener"):
        return int(name.rpartition("-")[2]) % 2 == 0
    return True


def in_turn(
    commands: dict[str, list[str]], environment: dict[str, str], rounds: int
) -> dict[str, list[Took]]:
    """Each command in each round; a first round warms the caches and is not counted."""
    made: dict[str, list[Took]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            taken = measured(command, environment)
            if number:
                made[name].append(taken)
    return made


def told(sizes: Sequence[dict[str, list[Took]]], rounds: int) -> int:
    """Print every figure and the three limits; the exit code."""
    from benchmarks.figures import Figure, Results

    print(f"{'objects':<8} {'command':<16} {'seconds':>8} {'processor':>10} {'MiB':>7}   ({rounds} rounds)")
    for name, size in zip(("none", "half", "whole"), sizes, strict=True):
        for command, times in size.items():
            keys = ("seconds", "processor", "memory")
            middle = [statistics.median(getattr(each, key) for each in times) for key in keys]
            print(f"{name:<8} {command:<16} {middle[0]:>8.2f} {middle[1]:>10.2f} {middle[2]:>7.0f}")
    ours, theirs = sizes[2]["gfattach queue"], sizes[2]["kubectl get"]
    none, half, whole = (
        statistics.median(each.processor for each in size["gfattach queue"]) for size in sizes
    )
    growth = (whole - half) / (half - none)
    memory = max(each.memory for each in ours)
    seconds = [[each.seconds for each in times] for times in (ours, theirs)]
    return Results(
        [
            Figure("at full size, beside kubectl get", seconds[0], "s", seconds[1], RATIO),
            Figure("peak of memory", [memory], "MiB", limit=MEMORY),
            Figure("processor time of the second half, of the first's", [growth], "times", limit=GROWTH),
        ]
    ).show()


if __name__ == "__main__":
    sys.exit(main())
