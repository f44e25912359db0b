"""gfattach's forwards beside `kubectl port-forward`, to the same pod of a real API server, in one run.

    python benchmarks/forward.py [ROUNDS] [--json FILE]

Needs kubectl and the programs of the test cluster (`python -m tests.harness.cluster.bed build`). Each round
measures both, in turn and in an order that alternates; what counts is the ratio, round by round, and
its median. Nothing outside a temporary directory is touched, all of it is on 127.0.0.1.

The pod's port leads to a server that only gives, takes or echoes bytes (`forward_source.py`), except
for the figures of the first GetCapabilities, which the real cache answers.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import Figure, Results  # noqa: E402

MIB = 1024 * 1024
SIZE = 256 * MIB
ECHOES = 300
CONNECTIONS = 40
PAUSE = 0.1

#: For each figure: its unit, whether more is better, and the limit of the ratio (None: only shown).
FIGURES: dict[str, tuple[str, bool, float | None]] = {
    "download, 1 connection": ("MiB/s", True, 1.0),
    "download, 8 connections": ("MiB/s", True, 1.0),
    "upload, 1 connection": ("MiB/s", True, 1.0),
    "upload, 8 connections": ("MiB/s", True, 1.0),
    "processor time, download": ("s/GiB", False, None),
    "processor time, upload": ("s/GiB", False, None),
    "processor time with the API server, download": ("s/GiB", False, 0.5),
    "processor time with the API server, upload": ("s/GiB", False, 0.5),
    "round trip, median": ("ms", False, 1.0),
    "connection set-up, now and then": ("ms", False, 1.0),
    "connection set-up, in a row": ("ms", False, None),
    "idle memory, two forwards": ("MiB", False, 0.5),
    "peak memory": ("MiB", False, 1.0),
    "start to first GetCapabilities": ("s", False, 1.5),
}


@dataclass
class Forwarder:
    """One way to the pod: the local ports of its two forwards, its process, when it was asked for."""

    raw: int
    cache: int
    pid: int
    asked: float


@contextlib.contextmanager
def kubectl(kubeconfig: Path, place: Path) -> Iterator[Forwarder]:
    """`kubectl port-forward` with two ports, one process."""
    from tests.harness.cluster.manifests import NAMESPACE, POD

    asked = time.perf_counter()
    child = subprocess.Popen(
        [
            "kubectl",
            f"--kubeconfig={kubeconfig}",
            f"--namespace={NAMESPACE}",
            "port-forward",
            f"pod/{POD}",
            ":8080",
            ":9092",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(place)},
    )
    try:
        assert child.stdout is not None
        ports: dict[int, int] = {}
        while len(ports) < 2:
            if found := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", child.stdout.readline()):
                ports[int(found[2])] = int(found[1])
        # It says a line for each connection: somebody has to read them.
        threading.Thread(target=child.stdout.read, daemon=True).start()
        yield Forwarder(ports[8080], ports[9092], child.pid, asked)
    finally:
        child.terminate()
        child.wait()


@contextlib.contextmanager
def gfattach(kubeconfig: Path, place: Path) -> Iterator[Forwarder]:
    """An agent with two forwards, as `gfattach up` starts it."""
    script = ROOT / "benchmarks/forward_agent.py"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(place),
        "XDG_STATE_HOME": str(place / "state"),
        "XDG_RUNTIME_DIR": str(place),
    }
    asked = time.perf_counter()
    call = [sys.executable, str(script), str(kubeconfig), str(place)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    said = json.loads(done.stdout)
    try:
        yield Forwarder(said["raw"], said["cache"], said["pid"], asked)
    finally:
        subprocess.run([*call, "stop"], env=environment, check=True, capture_output=True)


def measure(route: Forwarder, apiserver: int) -> dict[str, float]:
    """Every figure of one forwarder."""
    figures = {"start to first GetCapabilities": capabilities(route.cache) - route.asked}
    time.sleep(1.0)
    figures["idle memory, two forwards"] = memory(route.pid, "VmRSS")
    for name, pause in (("now and then", PAUSE), ("in a row", 0.0)):
        figures[f"connection set-up, {name}"] = 1000 * statistics.median(
            set_up(route.raw, pause) for _ in range(CONNECTIONS)
        )
    figures["round trip, median"] = 1000 * statistics.median(round_trips(route.raw))
    for name, command in (("download", b"D"), ("upload", b"U")):
        before, server = processor(route.pid), processor(apiserver)
        moved = 0
        for number in (1, 8):
            figures[f"{name}, {number} connection{'s'[: number - 1]}"] = throughput(
                route.raw, command, number
            )
            moved += SIZE
        own, all_of_it = processor(route.pid) - before, processor(route.pid) - before
        all_of_it += processor(apiserver) - server
        figures[f"processor time, {name}"] = own / (moved / 1024 / MIB)
        figures[f"processor time with the API server, {name}"] = all_of_it / (moved / 1024 / MIB)
    figures["peak memory"] = memory(route.pid, "VmHWM")
    return figures


def throughput(port: int, command: bytes, connections: int) -> float:
    """MiB/s of SIZE bytes over so many connections at once, from the first byte asked for to the last."""
    each = SIZE // connections
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        before = time.perf_counter()
        for done in [pool.submit(transfer, port, command, each) for _ in range(connections)]:
            done.result()
        return SIZE / MIB / (time.perf_counter() - before)


def transfer(port: int, command: bytes, size: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(command + b" %d\n" % size)
        if command == b"D":
            room = bytearray(MIB)
            left = size
            while left:
                got = connection.recv_into(room, min(left, MIB))
                if not got:
                    sys.exit(f"a download ended {left} bytes too early")
                left -= got
            return
        piece, left = bytes(MIB), size
        while left:
            left -= connection.send(piece[: min(left, MIB)])
        if connection.recv(1) != b".":
            sys.exit("an upload was not confirmed")


def set_up(port: int, pause: float) -> float:
    """Seconds from connecting, after a pause, to the first byte back."""
    time.sleep(pause)
    before = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"D 1\n")
        if connection.recv(1) == b"":
            sys.exit("a connection ended before its first byte")
        return time.perf_counter() - before


def round_trips(port: int) -> list[float]:
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"E\n")
        for _ in range(ECHOES):
            before = time.perf_counter()
            connection.sendall(b"x" * 64)
            got = 0
            while got < 64:
                got += len(connection.recv(64 - got))
            times.append(time.perf_counter() - before)
    return times


def capabilities(port: int) -> float:
    """The moment at which the cache behind `port` has answered GetCapabilities."""
    import grpc

    from gfattach.reapi import remote_cache_pb2 as messages

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities",
            request_serializer=messages.GetCapabilitiesRequest.SerializeToString,
            response_deserializer=messages.ServerCapabilities.FromString,
        )
        call(messages.GetCapabilitiesRequest(), timeout=10, wait_for_ready=True)
        return time.perf_counter()


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, field: str) -> float:
    """MiB of resident memory, now (VmRSS) or at most (VmHWM)."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description="gfattach's forwards beside kubectl's")
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if shutil.which("kubectl") is None:
        print("there is no kubectl to compare with", file=sys.stderr)
        return 2
    import grpc  # noqa: F401, loaded before any clock runs

    from gfattach.reapi import remote_cache_pb2  # noqa: F401
    from tests.harness.cluster.cluster import Cluster
    from tests.harness.cluster.manifests import POD, RUNTIME_NODE

    source = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks/forward_source.py")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert source.stdout is not None
    rounds: dict[str, list[dict[str, float]]] = {"kubectl": [], "gfattach": []}
    routes: dict[str, Callable[..., contextlib.AbstractContextManager[Forwarder]]] = {
        "kubectl": kubectl,
        "gfattach": gfattach,
    }
    try:
        with Cluster() as cluster:
            # The node that treats bytes as container runtimes do.
            cluster.delete_pod(POD)
            cluster.create_pod(POD, node=RUNTIME_NODE)
            cluster.forward_target(8080, "127.0.0.1", int(source.stdout.readline()))
            for number in range(options.rounds + 1):  # the first round warms up and is not counted
                for name in sorted(routes, reverse=bool(number % 2)):
                    with (
                        tempfile.TemporaryDirectory(prefix="gfattach-bench.") as directory,
                        routes[name](cluster.kubeconfig, Path(directory)) as route,
                    ):
                        figures = measure(route, cluster.apiserver_pid)
                    if number:
                        rounds[name].append(figures)
    finally:
        source.kill()
        source.wait()
    if options.json is not None:
        options.json.write_text(json.dumps(rounds, indent=2) + "\n")
    return told(rounds["gfattach"], rounds["kubectl"]).show()


def told(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> Results:
    """Every figure beside kubectl's."""
    return Results(
        [
            Figure(name, [a[name] for a in ours], unit, [b[name] for b in theirs], limit, more)
            for name, (unit, more, limit) in FIGURES.items()
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
