"""One background program of the bed: started, watched until it is ready, killed, restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

DEADLINE = 60.0  # seconds for anything to become true; most take less than one
_POLL = 0.05
_TAIL_LINES = 25

# Kills the bed when its owner is gone without having stopped it, for example by SIGKILL.
# It reads "+PID" and "-PID" lines; the end of its input is the owner's end.
_GUARD = """
import os, shutil, signal, sys
pids = set()
for line in sys.stdin:
    (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class BedError(Exception):
    """The bed does not do what it should; the message holds the end of the program's log."""


def wait_until(what: str, true: Callable[[], object], deadline: float = DEADLINE) -> None:
    """Return as soon as `true()` is true; BedError "not in n s: `what`" when that takes too long."""
    end = time.monotonic() + deadline
    while not true():
        if time.monotonic() > end:
            raise BedError(f"not in {deadline:.0f} s: {what}")
        time.sleep(_POLL)


class Guard:
    """Ends the bed's programs and removes its directory should the owner die."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(directory)],
            stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True, cwd="/",
        )  # fmt: skip

    def started(self, pid: int) -> None:
        """From now on `pid` is to be killed."""
        self._tell(f"+{pid}")

    def ended(self, pid: int) -> None:
        """`pid` is no longer ours."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """End the guard; programs that still run are killed by it."""
        self._process.communicate(timeout=DEADLINE)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")


class Daemon:
    """A program in the background, with its log. `command` and `ready` serve every start."""

    def __init__(
        self, name: str, command: Sequence[str | Path], ready: Callable[[], bool], home: Path, guard: Guard
    ) -> None:
        self.name = name
        self.log = home / f"{name}.log"
        self._command = [str(part) for part in command]
        self._ready = ready
        self._home = home
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None while it is down."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, *, wait: bool = True) -> None:
        """Start it; nothing happens when it runs. With `wait`, return only when it is ready.

        Raises BedError with the end of its log.
        """
        if self.pid is None:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, cwd=self._home, env=self._environment(), start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
            self._guard.started(self._process.pid)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when it is ready. Raises BedError with the end of its log."""
        self.wait_for(f"{self.name} is ready", lambda: self._exited() or self._ready())
        if self._exited():
            code = self._process.returncode if self._process else None
            raise BedError(f"{self.name} ended with exit code {code} before it was ready\n{self.tail()}")

    def wait_for(self, what: str, true: Callable[[], object]) -> None:
        """`wait_until` for something that this program is to bring about; BedError has its log's end."""
        try:
            wait_until(what, true)
        except BedError as error:
            raise BedError(f"{error}\n{self.tail()}") from None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it at once, as a crash would, and wait until it is gone; nothing happens when it is down."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)
        self._guard.ended(self._process.pid)
        self._process = None

    def restart(self) -> None:
        """`kill` and `start`."""
        self.kill()
        self.start()

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"--- end of {self.log.name} ---", *lines[-_TAIL_LINES:]])

    def _exited(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _environment(self) -> dict[str, str]:
        # Nothing of the user's: KWOK, for one, reads ~/.kwok/kwok.yaml.
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._home)}
