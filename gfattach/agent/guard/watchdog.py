"""The watchdog: it outlives an agent that is killed, empties the fragments, and starts the agent again.

A fragment that stays full while its substituter is not watched makes Nix builds fail: at once where the
substituter was behind a forward, and otherwise when that dies. So a shell, which is small, waits at the end
of a pipe that the agent alone holds. It ends at a word of the agent's; when the pipe ends without one, it
starts `python -m gfattach.agent.guard.watchdog`.

What the agent was handed in a pipe, because it may be secret, the shell is handed in the same way. It keeps
it where no program inherits it, and hands it on in the same way: it is in the environment of neither.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from gfattach.agent.guard import fragment as guard
from gfattach.agent.launch.environment import at_once, kept_back
from gfattach.agent.model.log import LOG, log_to
from gfattach.agent.model.registry import Registry
from gfattach.agent.model.state import AGENT
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.errors import GfattachError

#: Seconds that an agent must have run to be started again: one that is killed at once would be for ever.
LIVED_SECONDS = 10.0

#: Seconds that the agent may take to be there again.
START_SECONDS = 10.0

#: Seconds for the shell to take note of the word.
_DISMISSED_SECONDS = 1.0

_SHELL = "/bin/sh"
_WAIT = 'IFS= read -r kept; read -r word && exit 0; printf "%s\\n" "$kept" | "$@"'


class Watchdog:
    """The agent's side: has a watchdog wait as long as one is wanted."""

    def __init__(self, directory: Path, ref: ClusterRef | None) -> None:
        self._directory = directory
        self._ref = ref
        self._began = time.monotonic()
        self._lease = 0.0
        self._waiting: subprocess.Popen[bytes] | None = None
        self._unable = False

    def follow(self, *, wanted: bool, lease_seconds: float) -> None:
        """Have one wait if it is `wanted`, a new one where the last has ended; else none."""
        if not wanted:
            self.dismiss()
            return
        alive = self._waiting is not None and self._waiting.poll() is None
        if self._unable or (alive and self._lease == lease_seconds):
            return
        self.dismiss()
        self._lease = lease_seconds
        reference = json.dumps(None if self._ref is None else self._ref.as_json())
        # -P: the working directory is no place to import from.
        program = [sys.executable, "-P", "-m", "gfattach.agent.guard.watchdog"]
        said = [str(self._directory), str(os.getpid()), str(self._began), str(lease_seconds), reference]
        try:
            self._waiting = subprocess.Popen(
                [_SHELL, "-c", _WAIT, "gfattach-watchdog", *program, *said],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=at_once(frozenset()),
                start_new_session=True,
            )
            self._hand_over(json.dumps(kept_back()).encode() + b"\n")
        except OSError as error:
            self._unable = True
            LOG.error("no watchdog: %s cannot be run: %s", _SHELL, os.strerror(error.errno or 0).lower())

    def _hand_over(self, content: bytes) -> None:
        assert self._waiting is not None and self._waiting.stdin is not None
        while content:  # more than a pipe holds at once
            content = content[self._waiting.stdin.write(content) :]

    def dismiss(self) -> None:
        """Let the one that waits end: the agent ends in an orderly way, or guards nothing."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        assert waiting.stdin is not None
        with contextlib.suppress(OSError):
            waiting.stdin.write(b"ended\n")
        waiting.stdin.close()
        try:
            waiting.wait(_DISMISSED_SECONDS)
        except subprocess.TimeoutExpired:
            waiting.kill()
            waiting.wait()


def hide_all(directory: Path) -> None:
    """Empty every fragment that the agent of `directory`, which does not run, is to guard."""
    for registration in Registry(directory).registrations:
        for file in registration.guarded:
            guard.hide(file)


def main(arguments: list[str]) -> None:
    """Do what the agent of a directory no longer can. The arguments are the directory, the agent's process,
    when it began on the monotonic clock, its lease in seconds, and the cluster's reference as JSON. Standard
    input is a JSON object: the variables that the agent was not started with.
    """
    os.environ.update(json.loads(sys.stdin.buffer.read() or b"{}"))
    directory, pid, began = Path(arguments[0]), int(arguments[1]), float(arguments[2])
    lease, reference = float(arguments[3]), json.loads(arguments[4])
    os.umask(0o077)
    log_to(directory)
    LOG.error("process %d was killed: what it guarded is not watched", pid)
    try:
        hide_all(directory)
        if time.monotonic() - began < LIVED_SECONDS:
            LOG.error("it ran for less than %g s, and is not started again: gfattach up", LIVED_SECONDS)
            return
        _start_again(directory, pid, lease, None if reference is None else ClusterRef.from_json(reference))
    except GfattachError as error:
        LOG.error("it could not be started again: %s", error)


def _start_again(directory: Path, pid: int, lease_seconds: float, ref: ClusterRef | None) -> None:
    """Start the agent, unless a command has ended or replaced it on purpose."""
    from gfattach.agent.launch import supervisor

    deadline = Deadline.after(START_SECONDS)
    with AGENT.turn(directory, deadline):
        state = AGENT.read_state(directory)
    if state is not None and state.process.pid == pid:
        supervisor.ensure(directory, ref, lease_seconds=lease_seconds, deadline=deadline)


if __name__ == "__main__":
    main(sys.argv[1:])
