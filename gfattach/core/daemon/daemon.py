"""A daemon: a process that serves one directory and outlives the command that started it.

Its directory has `NAME.json` while it serves, which names the process (the state file), `NAME.log`,
`start.lock`, which commands hold while they start or end it, and `serving.lock`, which it holds itself. It
is found again by its state file, and believed only if that very process is alive and answers.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec import Struct

from gfattach.core import files
from gfattach.core.deadline import Deadline
from gfattach.core.errors import GfattachError
from gfattach.core.process import ProcessId, started_with

if TYPE_CHECKING:  # a daemon itself starts none
    from gfattach.core.daemon.start import Beginning

#: Seconds that a process which is alive gets to answer.
ANSWER_SECONDS = 2.0

#: Seconds that a process which served the directory before gets to end.
TAKEOVER_SECONDS = 5.0

#: Seconds that a command waits for another that starts or ends the daemon.
TURN_SECONDS = 10.0

_START_LOCK = "start.lock"
_SERVING_LOCK = "serving.lock"


class DaemonState(Protocol):
    """What a daemon's state file says at least."""

    @property
    def process(self) -> ProcessId:
        """The process that serves."""

    @property
    def version(self) -> str:
        """The version of gfattach that it is of."""


State = TypeVar("State", bound=DaemonState)


def identity(state: DaemonState) -> dict[str, Any]:
    """The part of a state file that every daemon's has."""
    return {"pid": state.process.pid, "born": state.process.born, "version": state.version}


def process_of(document: Mapping[str, Any]) -> ProcessId:
    """The process of `identity`. Raises KeyError, TypeError, ValueError, OverflowError for what is none."""
    return ProcessId(int(document["pid"]), str(document["born"]))


class Daemon(Struct, Generic[State], frozen=True):
    """One kind of daemon.

    `name` is that of its files; `title` and `verb` are for sentences ("the agent", "was"). `read` and `write`
    are the format of its state file:
    `read` gives None for what is none. `clear` removes what one that was killed has left beside the state
    file, whose state may be unknown. `not_started` and `stuck` make its errors of a fact and hints; `error`
    is the class of those that a process says in its readiness handshake, `errors` that of further codes.
    `module` is what the process is started as, where one that does not serve yet is looked for by that and
    by its directory.
    """

    name: str
    title: str
    verb: str
    read: Callable[[Any], State | None]
    write: Callable[[State], Mapping[str, Any]]
    not_started: Callable[..., GfattachError]
    stuck: Callable[..., GfattachError]
    error: type[GfattachError] = GfattachError
    errors: Callable[[], Mapping[str, type[GfattachError]]] = dict
    clear: Callable[[Path, State | None], None] = lambda directory, state: None
    module: str = ""

    def state_file(self, directory: Path) -> Path:
        """Where the daemon of `directory` says that it serves."""
        return directory / f"{self.name}.json"

    def log_file(self, directory: Path) -> Path:
        """Where the daemon of `directory` logs."""
        return directory / f"{self.name}.log"

    def read_state(self, directory: Path) -> State | None:
        """What is written there, whether or not it still runs; None for nothing, and for what is damaged.

        Raises StorageError.
        """
        content = files.read_bytes(self.state_file(directory))
        try:
            return None if content is None else self.read(json.loads(content))
        except (ValueError, RecursionError):
            return None

    def write_state(self, directory: Path, state: State) -> None:
        """Say that `state` serves. Raises StorageError."""
        # A machine that loses power loses the process as well.
        files.write_json(self.state_file(directory), self.write(state), durable=False)

    def running(self, directory: Path) -> State | None:
        """The state of the process that is alive, whether or not it answers. Raises StorageError."""
        state = self.read_state(directory)
        return state if state is not None and state.process.alive() else None

    # For commands.

    @contextlib.contextmanager
    def turn(self, directory: Path, deadline: Deadline) -> Iterator[None]:
        """Hold the start lock of `directory`, which is made where it is missing. Raises StorageError."""
        while True:
            files.make_private_directory(directory)
            with files.locked(directory / _START_LOCK, deadline.remaining()):
                if (directory / _START_LOCK).exists():  # else it was discarded while this waited for it
                    yield
                    return

    def ensure(
        self,
        directory: Path,
        keep: Callable[[State], bool],
        launch: Callable[[], State],
        deadline: Deadline,
    ) -> State:
        """The daemon of `directory`: the one that runs, if `keep` says that it is what is asked for and
        answers, and else what `launch` starts in its place. Raises StorageError, `stuck` for a process that
        cannot be ended, and what the two raise.
        """
        with self.turn(directory, deadline):
            running = self.running(directory)
            if running is not None:
                if keep(running):
                    return running
                self.end(directory, running)
            return launch()

    def launch(
        self,
        directory: Path,
        args: Sequence[str],
        environ: Mapping[str, str],
        deadline: Deadline,
        meanwhile: Callable[[], bytes] | None = None,
    ) -> State:
        """Start `args`, and wait for the readiness handshake; `meanwhile` is as in `start.begin`.

        Raises StorageError, and the error that the process met, or `not_started` when it ended without one or
        is not ready by `deadline`.
        """
        from gfattach.core.daemon.start import begin

        beginning = begin(args, environ, self.log_file(directory), deadline, meanwhile)
        state = self.read(beginning.ready)
        if state is None:
            raise self._failure(directory, beginning)
        return state

    def _failure(self, directory: Path, beginning: Beginning) -> GfattachError:
        if beginning.error is not None:
            from gfattach.core.daemon.readiness import error_of

            return error_of(beginning.error, self.error, self.errors())
        return self.not_started(*beginning.failure(self.title, self.verb, self.log_file(directory)))

    def stop(self, directory: Path) -> bool:
        """End the daemon of `directory`; whether one ran. Raises StorageError, `stuck`."""
        if not directory.is_dir():
            return False
        with files.locked(directory / _START_LOCK, TURN_SECONDS):
            running = self.running(directory)
            if running is not None:
                self.end(directory, running)
                return True
            # One whose starter was killed before it served: it would go on, and write into what is removed.
            strays = list(started_with(self.module, str(directory))) if self.module else []
            for stray in strays:
                self._end(stray)
            self.sweep(directory)
            return bool(strays)

    def end(self, directory: Path, state: State) -> None:
        """End the process of `state`, for a caller that holds the start lock. Raises `stuck`."""
        self._end(state.process)
        self.sweep(directory)

    def _end(self, process: ProcessId) -> None:
        if not process.end():
            look = f"see what it waits for: ps -o pid,stat,wchan:20,cmd -p {process.pid}"
            raise self.stuck(f"the {self.name}'s process {process.pid} does not end", look)

    def sweep(self, directory: Path) -> None:
        """Remove what a process that was killed has left. Raises StorageError."""
        state = self.read_state(directory)
        files.remove(self.state_file(directory))
        self.clear(directory, state)

    # For the process itself.

    @contextlib.contextmanager
    def serving(self, directory: Path) -> Iterator[None]:
        """Have `directory` to serve, which is made where it is missing, once the process before has ended.

        Raises StorageError.
        """
        os.umask(0o077)
        files.make_private_directory(directory)
        with files.locked(directory / _SERVING_LOCK, TAKEOVER_SECONDS):
            yield


def this_process() -> ProcessId:
    """The identity of the process that calls this."""
    process = ProcessId.of(os.getpid())
    assert process is not None
    return process
