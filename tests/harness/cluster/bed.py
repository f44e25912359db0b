"""The bed from the command line: build its programs, and run one cluster in the background.

python -m tests.harness.cluster.bed build | start | status | stop
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.harness.cluster import build
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.daemon import BedError, wait_until
from tests.harness.cluster.manifests import NAMESPACE, PORTS, SERVICE

_START_DEADLINE = 300.0  # seconds


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.cluster.bed", description=__doc__)
    parser.add_argument("command", choices=["build", "start", "status", "stop", "serve"])
    command = parser.parse_args(arguments).command
    commands = {"build": _build, "start": _start, "status": _status, "stop": _stop, "serve": _serve}
    try:
        return commands[command]()
    except (build.BuildError, BedError) as error:
        print(error, file=sys.stderr)
        return 1


def _run_directory() -> Path:
    return build.cache_directory() / "run"


def _lock_file() -> Path:
    return build.cache_directory() / "run.lock"


def _log_file() -> Path:
    return build.cache_directory() / "run.log"


def _build() -> int:
    def report(line: str) -> None:
        print(line, flush=True)

    for name, path in vars(build.build(report)).items():
        print(f"{name.replace('_', '-'):15} {path}")
    return 0


def _start() -> int:
    if _server_pid() is not None:
        return _status()
    build.locate()
    build.cache_directory().mkdir(parents=True, exist_ok=True)
    with _log_file().open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.cluster.bed", "serve"], start_new_session=True,
            cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    wait_until("the bed is up", lambda: process.poll() is not None or _handles() is not None, _START_DEADLINE)
    if process.poll() is not None:
        print(_log_file().read_text(errors="replace").rstrip(), file=sys.stderr)
        return 1
    return _status()


def _status() -> int:
    handles = _handles() if _server_pid() is not None else None
    if handles is None:
        print("the bed is not running; run: python -m tests.harness.cluster.bed start")
        return 1
    print(json.dumps(handles, indent=2))
    return 0


def _stop() -> int:
    pid = _server_pid()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        wait_until("the bed is down", lambda: _server_pid() is None)
    _log_file().unlink(missing_ok=True)
    print("the bed is down")
    return 0


def _serve() -> int:
    """Hold the cluster, in the background, until SIGTERM. The lock tells that this process lives."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with _lock_file().open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BedError("another process is starting the bed") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        started = time.monotonic()
        with Cluster(_run_directory()) as cluster:
            handles = {
                "kubeconfig": str(cluster.kubeconfig),
                "admin_kubeconfig": str(cluster.admin_kubeconfig),
                "server": cluster.server,
                "namespace": NAMESPACE,
                "service": SERVICE,
                "ports": PORTS,
                "bazel_remote": {"http": cluster.cache.http_port, "grpc": cluster.cache.grpc_port},
                "pids": {daemon.name: daemon.pid for daemon in cluster.daemons},
                "started_in_seconds": round(time.monotonic() - started, 1),
            }
            unfinished = _run_directory() / "handles.new"
            unfinished.write_text(json.dumps(handles))
            unfinished.replace(_run_directory() / "handles.json")
            ended.wait()
        lock.truncate(0)
    return 0


def _handles() -> dict[str, object] | None:
    try:
        handles: dict[str, object] = json.loads((_run_directory() / "handles.json").read_text())
    except FileNotFoundError:
        return None
    return handles


def _server_pid() -> int | None:
    """The process that holds the lock; None when nobody does, so that no stale pid is ever used."""
    try:
        with _lock_file().open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


if __name__ == "__main__":
    sys.exit(main())
