"""What `gfattach doctor` takes: healthy beside the questions asked by hand, and where nothing answers.

    python benchmarks/doctor.py [ROUNDS]

By hand are three commands: `kubectl version`, one GetCapabilities by a program that imports grpc for
it, and one `nix-cache-info` by curl. The doctor asks an attachment into the test cluster (a real API
server, pods, a real cache and a real Nix cache behind Services) some fifty questions. Whole processes,
timed from outside. Beside them a Python that only loads the libraries that the doctor speaks with: less
than that no program in Python takes, whatever it asks.

With all silent, an API server, a Bazel cache and a Nix cache accept every connection and say nothing.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from timing import in_turn, rounds_asked, seconds_of

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import Figure, Results  # noqa: E402
from tests.harness.cluster.cluster import Cluster  # noqa: E402
from tests.harness.cluster.developer import developer_machine, fill, nix_cache  # noqa: E402
from tests.harness.cluster.kubeconfig_files import kubeconfig  # noqa: E402
from tests.harness.machine import faulty_servers  # noqa: E402
from tests.harness.machine.developer import Machine, make_machine  # noqa: E402

#: What a healthy run may be of the three commands by hand, and seconds that it may take.
RATIO, SECONDS = 1.5, 2.0

#: Seconds that a run may take where nothing answers.
SILENT_SECONDS = 30.0

_CAPABILITIES = """
import sys, grpc
from gfattach.reapi import remote_cache_pb2 as pb
with grpc.insecure_channel(sys.argv[1]) as channel:
    call = channel.unary_unary(
        "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities",
        request_serializer=pb.GetCapabilitiesRequest.SerializeToString,
        response_deserializer=pb.ServerCapabilities.FromString,
    )
    call(pb.GetCapabilitiesRequest(), timeout=10)
"""


_LIBRARIES = """
import asyncio, click, cryptography.x509, grpc, h11, msgspec, platformdirs, ssl, yaml
from gfattach.net.lean_httpx import httpx
from gfattach.reapi import remote_cache_pb2
"""

#: What is measured beside the three commands by hand.
OURS, LIBRARIES = "doctor", "its libraries"


def main() -> int:
    if shutil.which("kubectl") is None:
        sys.exit("no kubectl; install it: apt-get install kubernetes-client")
    rounds = rounds_asked(5)
    with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as place:
        figures = [*_healthy(Path(place), rounds), _silent(Path(place))]
    return Results(figures).show()


def _healthy(place: Path, rounds: int) -> list[Figure]:
    with Cluster() as cluster, nix_cache(place / "nix", cluster) as nix:
        fill(place / "fill", cluster, "--no-bazel")
        machine = developer_machine(place / "developer", cluster)
        machine.write_site('[nix]\nservice = "attic"\ncache = ""\n[cache]\nservice = "bazel-cache"\n')
        machine.json("up", "--no-bazel", "--no-nix", "--public-key", nix["public_key"])
        try:
            times = in_turn(_commands(machine), rounds)
        finally:
            machine.run("down")
    hands = [taken for name, taken in times.items() if name not in (OURS, LIBRARIES)]
    by_hand = [sum(taken) for taken in zip(*hands, strict=True)]
    for name, taken in {**times, "by hand, in all": by_hand}.items():
        print(f"{name:<18} {statistics.median(taken):6.2f} s")
    took = times[OURS]
    return [
        Figure("the doctor's libraries, loaded and no more", times[LIBRARIES], "s", by_hand),
        Figure("a healthy doctor, beside the three commands by hand", took, "s", by_hand, RATIO),
        Figure("a healthy doctor, in all", took, "s", limit=SECONDS),
    ]


def _commands(machine: Machine) -> dict[str, object]:
    document = machine.json("status")["result"]
    there = {"cwd": machine.workspace, "env": machine.environment}
    commands = {
        "kubectl version": ["kubectl", "version"],
        "GetCapabilities": [sys.executable, "-c", _CAPABILITIES, document["cache"].removeprefix("grpc://")],
        "nix-cache-info": ["curl", "-sSf", f"{document['substituter']}/nix-cache-info"],
        LIBRARIES: [sys.executable, "-c", _LIBRARIES],
        OURS: [sys.executable, "-m", "gfattach", "doctor"],
    }
    return {name: lambda words=words: seconds_of(words, **there) for name, words in commands.items()}


def _silent(place: Path) -> Figure:
    with ExitStack() as stack:
        api, cache, nix = (
            stack.enter_context(faulty_servers.talking(faulty_servers.silent)) for _ in range(3)
        )
        machine = make_machine(place / "silent")
        config = kubeconfig(machine.root / "kubeconfig", cluster={"server": f"https://127.0.0.1:{api}"})
        machine.variables["KUBECONFIG"] = str(config)
        direct = ["--cache", f"grpc://127.0.0.1:{cache}", "--substituter", f"http://127.0.0.1:{nix}"]
        key = ["--public-key", "a:" + "A" * 43 + "="]
        worst = max(_took(machine, *direct, *key), _took(machine))
    return Figure("a doctor where every endpoint is silent", [worst], "s", limit=SILENT_SECONDS)


def _took(machine: Machine, *options: str) -> float:
    words = [sys.executable, "-m", "gfattach", "doctor", "--output", "json", *options]
    before = time.perf_counter()
    done = subprocess.run(words, cwd=machine.workspace, env=machine.environment, capture_output=True)
    took = time.perf_counter() - before
    assert json.loads(done.stdout)["result"]["verdict"]["state"] == "fail", done.stderr
    return took


if __name__ == "__main__":
    sys.exit(main())
