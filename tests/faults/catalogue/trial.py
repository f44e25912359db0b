"""Faults of an attachment to the embedded caches: its processes, its record, its fragments."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gfattach.agent.model.state import read_state
from gfattach.core.deadline import Deadline
from gfattach.trial.state import from_document
from tests.faults.bed import Bed
from tests.faults.fault import Seed, faults


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what is to come, a minute at most."""
    deadline = Deadline.after(60)
    while not true():
        assert not deadline.expired
        time.sleep(0.02)


def _pid(bed: Bed, what: str) -> int:
    """The process of the attachment's `trial` or `agent`, from what they keep on disk."""
    record = json.loads(_record(bed).read_text())
    if what == "trial":
        trial_state = from_document(json.loads((bed.machine.state / "trial/trial.json").read_text()))
        assert trial_state is not None
        return trial_state.process.pid
    agent = read_state(Path(record["agent"]))
    assert agent is not None
    return agent.process.pid


def ended(*processes: str) -> Seed:
    """These processes of the attachment are killed."""

    def seed(bed: Bed) -> None:
        pids = [_pid(bed, process) for process in processes]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_until(functools.partial(_ended, pid))

    return seed


def _ended(pid: int) -> bool:
    """Whether the process has ended, also where its parent has not waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


def stopped(process: str) -> Seed:
    """The process is stopped until the doctor has ended."""

    def seed(bed: Bed) -> None:
        pid = _pid(bed, process)
        os.kill(pid, signal.SIGSTOP)
        bed.stack.callback(os.kill, pid, signal.SIGCONT)

    return seed


def _record(bed: Bed) -> Path:
    return bed.machine.state / "attachment.json"


def record_says(text: str) -> Seed:
    """The record holds this; it is as before when the machine is cleared up."""

    def seed(bed: Bed) -> None:
        path = _record(bed)
        bed.stack.callback(path.write_bytes, path.read_bytes())
        path.write_text(text)

    return seed


def record_changed(key: str, value: Any) -> Seed:
    """The record says something else of one thing."""

    def seed(bed: Bed) -> None:
        path = _record(bed)
        before = path.read_bytes()
        bed.stack.callback(path.write_bytes, before)
        path.write_text(json.dumps({**json.loads(before), key: value}))

    return seed


def _record_is_a_directory(bed: Bed) -> None:
    path = _record(bed)
    before = path.read_bytes()
    path.unlink()
    path.mkdir()

    def mend() -> None:
        path.rmdir()
        path.write_bytes(before)

    bed.stack.callback(mend)


def _gone(name: str) -> Seed:
    return lambda bed: (bed.machine.workspace / ".gfattach" / name).unlink()


def _trial_port_taken(bed: Bed) -> None:
    """The embedded caches have ended, and something else answers where the Bazel cache was."""
    port = json.loads(_record(bed).read_text())["cache"]["endpoint"].rpartition(":")[2]
    ended("trial")(bed)
    bed.stack.enter_context(_listening_at(int(port)))


@contextlib.contextmanager
def _listening_at(port: int) -> Iterator[None]:
    """A program at that port which talks of something else, as soon as the port is free."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_until(lambda: _bound(listener, port))
        listener.listen()

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connection:
                        connection.sendall(b"SSH-2.0-x\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _bound(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _earlier(bed: Bed) -> None:
    """A directory of a gfattach that kept its record in the workspace."""
    bed.run("down")
    bed.write(".gfattach/attachment.json", "{}")
    bed.stack.callback((bed.machine.workspace / ".gfattach/attachment.json").unlink)


def _another_version(bed: Bed) -> None:
    record_changed("gfattach", "0.0.1")(bed)


FAULTS = faults(
    "trial",
    {
        "the embedded caches have been killed": (ended("trial"), "trial.ended"),
        "the agent has been killed": (ended("agent"), "agent.ended"),
        "the embedded caches and the agent have been killed": (ended("trial", "agent"), "trial.ended"),
        "the agent is stopped": (stopped("agent"), "agent.hung"),
        "the embedded caches are stopped": (stopped("trial"), "trial.hung"),
        "another program has the port of the embedded caches": (_trial_port_taken, "trial.ended"),
        "the record is cut off": (record_says('{"schema": 1, "gf'), "attachment.damaged"),
        "the record is empty": (record_says(""), "attachment.damaged"),
        "the record is of another format": (record_says('{"schema": 99}'), "attachment.version"),
        "the record is a list": (record_says("[]"), "attachment.damaged"),
        "the record lacks its caches": (record_says('{"schema": 1}'), "attachment.damaged"),
        "the record names another's place": (
            record_changed("fragments", {"bazelrc": "/etc/bazel.bazelrc", "nix.conf": None}),
            "attachment.damaged",
        ),
        "a directory stands where the record should": (_record_is_a_directory, "storage"),
        "another version has attached": (_another_version, "state.record.version"),
        "an earlier gfattach has attached": (_earlier, "attachment.earlier"),
        "the Bazel fragment is gone": (_gone("bazelrc"), "fragment.missing"),
        "the Nix fragment is gone": (_gone("nix.conf"), "fragment.missing"),
    },
)
