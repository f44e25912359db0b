"""What grows with its number, and by which power: connections, Services, blobs, workspaces.

    .venv/bin/python benchmarks/growth.py [PART]      sizes up to PART of the largest, from 0 to 1

- 1 to 256 connections at once through one forward: seconds from the first dial to the last byte, and the
agent's
  memory while all are open;
- 1 to 2,000 Services in the namespace of the caches: seconds in which `up` finds the caches among them, on a
real API
  server;
- 10 to 100,000 blobs in the trial's store: seconds to open it, and to look each of them up;
- 1 to 50 workspaces on one agent: seconds to register all of them, and the agent's memory then.

Each cost is the least of some rounds, because what else a machine does only adds. The limit is the power 1,
and what measuring adds to it. Needs the programs of the test cluster (`python -m tests.harness.cluster.bed
build`). Nothing outside a temporary directory is touched, all of it is on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import Growth, Results  # noqa: E402
from gfattach.agent.launch import supervisor  # noqa: E402
from gfattach.agent.launch.client import AgentClient  # noqa: E402
from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health, Registration  # noqa: E402
from gfattach.core.deadline import Deadline  # noqa: E402

CONNECTIONS = (1, 4, 16, 64, 256)
SERVICES = (1, 20, 200, 2000)
BLOBS = (10, 100, 1000, 10_000, 100_000)
WORKSPACES = (1, 5, 20, 50)

ROUNDS = 3

#: Seconds that anything of this may take on a busy machine.
SECONDS = 120.0


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """A server that answers the first byte of each connection with one, and keeps it open; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def serve() -> None:
            kept = []
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    kept.append(connection)
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while connection.recv(1):
                    connection.sendall(b".")

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def an_agent(place: Path) -> Iterator[tuple[AgentClient, int]]:
    """A new agent, and its process."""
    directory = place / "agent"
    client = supervisor.ensure(directory, None, deadline=Deadline.after(SECONDS))
    try:
        yield client, client.status(Deadline.after(SECONDS)).pid
    finally:
        supervisor.stop(directory)


def a_registration(place: Path, number: int, port: int) -> Registration:
    """The forward of one workspace."""
    record = place / f"record-{number}"
    record.touch()
    upstream = DirectUpstream("127.0.0.1", port)
    return Registration(record, (ForwardSpec(f"cache-{number}", upstream, Health("http", "/")),))


def memory(pid: int) -> float:
    """MiB of resident memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def connections(sizes: tuple[int, ...]) -> Iterator[Growth]:
    """Connections at once through one forward."""
    seconds, held = [], []
    with answering() as port:
        for size in sizes:
            rounds = []
            for _ in range(ROUNDS):
                with (
                    tempfile.TemporaryDirectory(prefix="gfb.") as text,
                    an_agent(Path(text)) as (client, pid),
                ):
                    [status] = client.register(a_registration(Path(text), 0, port), Deadline.after(SECONDS))
                    assert status.port is not None
                    rounds.append(opened(status.port, size, pid))
            seconds.append((size, min(taken for taken, _ in rounds)))
            held.append((size, min(kept for _, kept in rounds)))
    yield Growth("connections: time until all have answered", "s", seconds)
    yield Growth("connections: memory of the agent", "MiB", held)


def opened(port: int, size: int, pid: int) -> tuple[float, float]:
    """Seconds until so many connections have had an answer, and the agent's memory while they are open."""
    with contextlib.ExitStack() as stack:
        before = time.perf_counter()
        made = []
        for _ in range(size):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
            one.sendall(b"?")
            made.append(one)
        for one in made:
            if one.recv(1) != b".":
                sys.exit("a connection ended before its answer")
        return time.perf_counter() - before, memory(pid)


def services(sizes: tuple[int, ...]) -> Iterator[Growth]:
    """Services among which the caches are."""
    from tests.harness.cluster.cluster import Cluster
    from tests.harness.cluster.developer import developer_machine
    from tests.harness.cluster.manifests import NAMESPACE

    seconds = []
    with tempfile.TemporaryDirectory(prefix="gfb.") as text, Cluster() as cluster:
        machine = developer_machine(Path(text), cluster)
        there = 1
        for size in sizes:
            for number in range(there, size):
                name = f"other-{number:04}"
                ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
                cluster.apply(
                    {
                        "apiVersion": "v1",
                        "kind": "Service",
                        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
                        "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": ports},
                    }
                )
            there = max(there, size)
            rounds = []
            for _ in range(ROUNDS):
                document = machine.json("up", "--no-bazel", "--no-nix")
                [stage] = [each for each in document["stages"] if each["name"] == "discover"]
                rounds.append(stage["seconds"])
                machine.json("down")
            seconds.append((size, min(rounds)))
            print(f"services {seconds[-1]}", file=sys.stderr, flush=True)
    yield Growth("Services: time to find the caches", "s", seconds)


def blobs(sizes: tuple[int, ...]) -> Iterator[Growth]:
    """Blobs in the trial's store."""
    from gfattach.trial.blob_store import BlobStore

    opening, looking = [], []
    with tempfile.TemporaryDirectory(prefix="gfb.") as text:
        root, there = Path(text) / "store", 0
        names = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(max(sizes))]
        for shard in {name[:2] for name in names}:
            (root / "cas" / shard).mkdir(parents=True)
        kinds = {"cas": lambda name, size: len(name) == 64}
        for size in sizes:
            for name in names[there:size]:
                (root / "cas" / name[:2] / name).write_bytes(b"blob")
            there = size
            keys = [f"cas/{name[:2]}/{name}" for name in names[:size]]
            opened_in, looked_up = [], []
            for _ in range(ROUNDS):
                before = time.process_time()
                store = BlobStore(root, 1 << 40, kinds)
                opened_in.append(time.process_time() - before)
                before = time.process_time()
                for key in keys:
                    assert store.lookup(key) is not None
                looked_up.append(time.process_time() - before)
            opening.append((size, min(opened_in)))
            looking.append((size, min(looked_up)))
    yield Growth("blobs: processor time to open the store", "s", opening)
    yield Growth("blobs: processor time to look each up", "s", looking)


def workspaces(sizes: tuple[int, ...]) -> Iterator[Growth]:
    """Workspaces on one agent."""
    seconds, held = [], []
    with answering() as port:
        for size in sizes:
            rounds = []
            for _ in range(ROUNDS):
                with (
                    tempfile.TemporaryDirectory(prefix="gfb.") as text,
                    an_agent(Path(text)) as (client, pid),
                ):
                    before = time.perf_counter()
                    for number in range(size):
                        registration = a_registration(Path(text), number, port)
                        client.register(registration, Deadline.after(SECONDS))
                    rounds.append((time.perf_counter() - before, memory(pid)))
            seconds.append((size, min(taken for taken, _ in rounds)))
            held.append((size, min(kept for _, kept in rounds)))
    yield Growth("workspaces on one agent: time to register all", "s", seconds)
    yield Growth("workspaces on one agent: its memory", "MiB", held)


def main() -> int:
    part = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory(prefix="gfb.") as text:
        # What is built for the tests stays where it is. An agent finds its runtime directory by the others,
        # and nothing of the user's has a part in it.
        os.environ.setdefault("GFATTACH_TEST_CACHE", str(Path.home() / ".cache/gfattach-tests"))
        os.environ |= {"HOME": text, "XDG_RUNTIME_DIR": text, "XDG_STATE_HOME": f"{text}/state"}
        results = Results()
        for name, measure, sizes in (
            ("connections", connections, CONNECTIONS),
            ("workspaces", workspaces, WORKSPACES),
            ("blobs", blobs, BLOBS),
            ("services", services, SERVICES),
        ):
            print(name, file=sys.stderr, flush=True)
            results.growth += measure(tuple(size for size in sizes if size <= part * max(sizes)))
    return results.show()


if __name__ == "__main__":
    sys.exit(main())
