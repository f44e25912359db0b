"""Runs Bazel: a server of one's own, commands with a deadline, and an end that is certain.

Bazel's client starts a server that outlives it, one for each output base. A `Server` here
is one such server with an output base that nobody else has, so that a proof neither waits
for the user's builds nor touches what they keep.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from gfattach.bazel.program.binary import Bazel, named_user, plain_environment
from gfattach.bazel.server.crash import crash_cause
from gfattach.bazel.server.launcher import became, is_launcher
from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, StorageError
from gfattach.core.files import make_private_directory, remove_tree
from gfattach.core.process import Completed, ProcessId

#: Seconds after which a server ends by itself, should gfattach be killed before it could end it.
IDLE_SECONDS = 120

#: Seconds that `bazel shutdown` may take.
SHUTDOWN_SECONDS = 15.0

#: What Bazel exits with.
EXIT_USAGE = 2
EXIT_CRASHED = 37

#: For a JVM that lives for a few commands: leave out the second compiler, whose gain comes later
#: than that. The first hit of a cold server comes 20 to 30 % earlier (2.1.0 and 4.2.3).
_SHORT_LIVED = "-XX:TieredStopAtLevel=1"


class Server:
    """One Bazel server with an output base of its own, for one workspace.

    `work` is shared by all servers of an attachment: what a Bazel unpacks of itself (100 MB,
    a second) is unpacked there once. `name` is that of the output base in it, one for each
    server that runs at the same time.

    Without `environ` it is sealed: no rc file but `rc` is read, HOME is empty, the environment holds
    PATH and what a version manager needs, and what Bazel keeps for itself goes below `work`.
    With `environ`, the user's rc files, HOME and caches are honoured, as for a build of the
    user's own; only the output base is private. Nothing is started before the first `run`.
    Use it in a `with`: it leaves no process and no output base behind.
    """

    def __init__(
        self,
        bazel: Bazel,
        workspace: Path,
        work: Path,
        name: str,
        *,
        environ: Mapping[str, str] | None = None,
        rc: Sequence[Path] = (),
    ) -> None:
        self.bazel = bazel
        self.workspace = workspace
        self.output_base = work / "bases" / name
        #: Whether it has built anything: the next build is a warm one then.
        self.has_built = False
        self._lock = threading.Lock()
        self._busy, self._over = 0, False
        self._work = work
        self._sealed = environ is None
        #: The Bazel that a launcher found for a sealed server, once it is known.
        self._client: Path | None = None
        self._is_launched = self._sealed and is_launcher(bazel.path)
        if environ is None:
            self.environment = {
                **plain_environment(os.environ),
                "HOME": str(work / "home"),
                "LC_ALL": "C.UTF-8",
                **bazel.environment,
            }
        else:
            self.environment = {**environ, **named_user(environ), **bazel.environment}
        self._startup = [
            *bazel.startup,
            f"--output_base={self.output_base}",
            f"--max_idle_secs={IDLE_SECONDS}",
            *self._rc_options(rc),
        ]

    def _rc_options(self, rc: Sequence[Path]) -> list[str]:
        if not self._sealed:
            return [f"--bazelrc={file}" for file in rc]
        root = f"--output_user_root={self._work / 'root'}"
        rc_files = ["--nosystem_rc", "--noworkspace_rc", "--nohome_rc"]
        rc_files += [f"--bazelrc={file}" for file in rc or (Path("/dev/null"),)]
        jvm = (_SHORT_LIVED, f"-Djava.io.tmpdir={self._scratch}")
        return [root, *rc_files, *(f"--host_jvm_args={each}" for each in jvm)]

    @property
    def _scratch(self) -> Path:
        """Where a sealed server unpacks its libraries, which one that is killed leaves behind."""
        return self._work / "tmp"

    def __enter__(self) -> Server:
        # An interrupt may leave the thread that is in the `with`: the server must not outlive the program.
        process.at_end(self.forget)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        process.not_at_end(self.forget)

    @property
    def running(self) -> bool:
        """Whether the server runs: the next command finds it warm."""
        return self._process() is not None

    def run(
        self,
        command: str,
        args: Sequence[str],
        deadline: Deadline,
        *,
        on_stderr_line: Callable[[str, float], None] | None = None,
    ) -> Completed:
        """Run one command to its end. Any exit code but a crash is the caller's to read.

        Raises BazelError: `bazel.unusable`, `bazel.hung` (the server is ended then) or
        `bazel.crashed`, with the cause out of the server's log; StorageError when the work
        directory cannot be made.
        """
        make_private_directory(self._work)
        if self._sealed:
            make_private_directory(self._work / "home")
            make_private_directory(self._scratch)
        return self.run_words(
            self.bazel.path, self.words(command, args), command, deadline, on_stderr_line=on_stderr_line
        )

    def words(self, command: str, args: Sequence[str]) -> list[str]:
        """What stands behind the program's name for one command."""
        return [*self._startup, command, *args]

    def run_words(
        self,
        program: Path,
        words: Sequence[str],
        command: str,
        deadline: Deadline,
        *,
        on_stderr_line: Callable[[str, float], None] | None = None,
    ) -> Completed:
        """The same for `words` as they are, startup options and `command` among them, with `program`."""
        with self._lock:
            if self._over:
                raise BazelError(f"bazel {command} was not run: what it was for is over")
            self._busy += 1
        try:
            answer = process.run(
                [str(program), *words],
                deadline,
                env=self.environment,
                cwd=self.workspace,
                on_stderr_line=self._looking_for_client(on_stderr_line),
                executable=self._client if program == self.bazel.path else None,
            )
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise BazelError(f"{program} cannot be run: {reason}", code="bazel.unusable") from error
        finally:
            with self._lock:
                self._busy -= 1
        self.has_built |= command == "build"
        if answer.timed_out:
            self.shutdown()
            words = answer.last_words()
            raise BazelError(
                f"bazel {command} did not end within {answer.seconds:.0f} s",
                f"the last it said: {words}" if words else "it said nothing",
                code="bazel.hung",
            )
        if answer.returncode == EXIT_CRASHED or (answer.returncode or 0) < 0:
            cause = crash_cause(self.output_base) or answer.last_words()
            raise BazelError(
                f"bazel {command} crashed ({answer.ending})",
                f"the cause: {cause}" if cause else "neither its console nor its log names a cause",
                code="bazel.crashed",
            )
        return answer

    def _looking_for_client(
        self, then: Callable[[str, float], None] | None
    ) -> Callable[[str, float], None] | None:
        """What reads stderr: the first word is said by the client, before it has a server."""
        if not self._is_launched or self._client is not None:
            return then

        def read(line: str, seconds: float) -> None:
            if self._client is None:
                clients = [found for found, base in _with_output_base() if base == self.output_base]
                self._client = next(filter(None, (became(each.pid) for each in clients)), None)
            if then is not None:
                then(line, seconds)

        return read

    def shutdown(self, *, at_once: bool = False) -> None:
        """End the server. Never raises.

        By its number, after making sure that it is that server: a termination signal takes
        0.3 s, and `bazel shutdown` 2 s for the same (measured with 2.1.0 and 4.2.3). A server
        that outlives that is asked. With `at_once` it is killed: what it was about to store is lost, and
        what it would put in order is left.
        """
        server = self._process() or self._starting()
        if server is None or server.end(at_once=at_once):
            return
        with contextlib.suppress(OSError):
            process.run(
                [str(self.bazel.path), *self._startup, "shutdown"],
                Deadline.after(SHUTDOWN_SECONDS),
                env=self.environment,
                cwd=self.workspace,
            )

    def close(self) -> None:
        """End it for good, though another thread may be asking it: no command is run any more. Never
        raises.
        """
        with self._lock:
            self._over = True
        self.forget()
        limit = Deadline.after(SHUTDOWN_SECONDS)
        while self._busy and not limit.expired:  # a client that had just begun brings up another server
            time.sleep(0.02)
            self.forget()

    def forget(self) -> None:
        """End the server and remove its output base: the next command starts cold.

        A sealed one that is at no work is killed: what it would put in order is removed.
        """
        self.has_built = False
        self.shutdown(at_once=self._sealed and not self._busy)
        with contextlib.suppress(StorageError):  # what is left is in the work directory, and goes with it
            remove_tree(self.output_base)

    def _process(self) -> ProcessId | None:
        """The server's process, if the number that Bazel wrote down is still that of this server."""
        directory = self.output_base / "server"
        try:
            pid = int((directory / "server.pid.txt").read_text())
        except (OSError, ValueError):
            return None
        found = ProcessId.of(pid)
        if found is None:
            return None
        try:
            # On Linux Bazel notes the start time of its server, as the kernel counts it.
            ours = (directory / "server.starttime").read_text().strip() == found.born
        except OSError:
            ours = str(self.output_base) in process.ask_ps("command", pid)
        return found if ours else None

    def _starting(self) -> ProcessId | None:
        """A server that has not written its number down yet: whose client was ended before it was up.

        Known by this output base, which nobody else has; looked for where the system lists processes.
        """
        return next((found for found, base in _with_output_base() if base == self.output_base), None)


def end_strays(work: Path) -> None:
    """End every client and server whose output base is below `work`: those of a gfattach that was killed.

    For who alone may use `work`. They are looked for where the system lists processes; elsewhere a server
    ends by itself after IDLE_SECONDS. Never raises.
    """
    if work.exists():
        for found, base in list(_with_output_base()):
            if work in base.parents:
                found.end()


def _with_output_base() -> Iterator[tuple[ProcessId, Path]]:
    """Every process that was started with an output base, and which."""
    option = "--output_base="
    for found, words in process.listed():
        for argument in words:
            if argument.startswith(option):
                yield found, Path(argument.removeprefix(option))
