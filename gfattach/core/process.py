"""Child processes: run one with a deadline, and know one again by more than its number.

Every child gets its own process group, so that what it started ends with it. A process
that gfattach leaves running is remembered by its number and its start time, because
numbers are reused.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from msgspec import Struct

from gfattach.core.deadline import Deadline

#: Bytes of each stream that are kept; a program that prints without end must not fill memory.
OUTPUT_LIMIT = 4 * 1024 * 1024

#: Seconds between asking a process to end and ending it.
TERMINATE_SECONDS = 3.0

#: Seconds between looks at a child that is watched.
WATCH_SECONDS = 0.1

#: Signals that Python ignores and that a program expects to end it.
_IGNORED = ("SIGPIPE", "SIGXFSZ")

#: Children that run now, and what ends a process that a child left behind. An interrupt reaches the main
#: thread alone: what another thread had started would outlive the program.
_running: set[subprocess.Popen[bytes]] = set()
_endings: list[Callable[[], None]] = []
_ended = threading.Event()

#: Held while a child starts: one that `end_all` could not see yet would outlive the program.
_starting = threading.RLock()


def replace(program: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Become `program`: exit code, signals and terminal are its own from here on. `arguments` begin with
    the name that it is called by.

    Raises OSError when it cannot be run.
    """
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in _IGNORED)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(program, list(arguments), dict(environment))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def at_end(ending: Callable[[], None]) -> None:
    """Have `end_all` call `ending`, until `not_at_end` takes it back."""
    _endings.append(ending)


def not_at_end(ending: Callable[[], None]) -> None:
    """Take an `at_end` back: what it would end has ended."""
    with contextlib.suppress(ValueError):
        _endings.remove(ending)


@atexit.register
def end_all() -> None:
    """End every child that runs now and what children left behind: on an interrupt, and at the end.

    From then on only the main thread may start another: a thread that was left behind must not go on.
    """
    _ended.set()
    with _starting:
        running = list(_running)
    for child in running:
        _end_group(child)
    while _endings:
        with contextlib.suppress(Exception):  # the others have to be ended too
            _endings.pop()()


class Completed(Struct, frozen=True):
    """How a child ended. `returncode` is negative for a signal, None when its deadline ended it."""

    args: tuple[str, ...]
    returncode: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        """Whether the deadline ended it."""
        return self.returncode is None

    @property
    def good(self) -> bool:
        """Whether it exited with 0."""
        return self.returncode == 0

    @property
    def ending(self) -> str:
        """How it ended, as the end of a sentence."""
        if self.returncode is None:
            return f"gave no answer within {self.seconds:.0f} s"
        if self.returncode < 0:
            return f"was ended by signal {-self.returncode}"
        return f"exited with {self.returncode}"

    def last_words(self, lines: int = 3) -> str:
        """The last lines of stderr, or else of stdout, on one line: for an error's hint."""
        text = self.stderr.strip() or self.stdout.strip()
        return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def run(
    args: Sequence[str],
    deadline: Deadline,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_stderr_line: Callable[[str, float], None] | None = None,
    executable: Path | None = None,
) -> Completed:
    """Run `args` to its end or to `deadline`, whichever is first, and return how it ended.

    `executable` is the program, where the first of `args` is only the name that it is called by.
    `on_stderr_line` is called with each line of stderr and the moment of its arrival on
    `time.monotonic()`, from a thread of its own. Raises OSError when the program cannot be
    started. An interrupt ends the child before it is passed on.
    """
    started = time.monotonic()
    child = _start(
        list(args),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        cwd=cwd,
        executable=executable,
        start_new_session=True,
    )
    out, err = bytearray(), bytearray()
    readers = [
        threading.Thread(target=_drain, args=(child.stdout, out, None), daemon=True),
        threading.Thread(target=_drain, args=(child.stderr, err, on_stderr_line), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        try:
            returncode: int | None = child.wait(deadline.remaining())
        except subprocess.TimeoutExpired:
            returncode = None
            _end_group(child)
        # A grandchild (a Bazel server, say) may hold the pipes open: what was said is said by now.
        for reader in readers:
            reader.join(1.0)
    except BaseException:
        _end_group(child)
        raise
    finally:
        _running.discard(child)
    text = [bytes(stream).decode("utf-8", "replace") for stream in (out, err)]
    return Completed(tuple(args), returncode, text[0], text[1], time.monotonic() - started)


def run_watched(
    args: Sequence[str],
    deadline: Deadline,
    silence: float,
    watch: Callable[[bytes], None],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bool = False,
) -> Completed:
    """Run `args` to its end, to `deadline`, or until it has said nothing on stderr for `silence` seconds.

    `watch` is called with what comes on stderr as it comes, parts of lines too, and with b"" at least every
    `WATCH_SECONDS`. With `stdin` the child has this process's own, and its session and group: only so can it
    ask at the terminal. Raises OSError when the program cannot be started.
    """
    started = time.monotonic()
    child = _start(
        list(args),
        stdin=None if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        start_new_session=not stdin,
    )
    assert child.stdout is not None and child.stderr is not None
    said = {child.stdout: bytearray(), child.stderr: bytearray()}
    try:
        heard, ended = started, 0.0
        with selectors.DefaultSelector() as selector:
            for stream in said:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(WATCH_SECONDS):
                    stream = cast("IO[bytes]", key.fileobj)
                    data = os.read(stream.fileno(), 65536)
                    if not data:
                        selector.unregister(stream)
                    elif len(said[stream]) < OUTPUT_LIMIT:
                        said[stream] += data
                    if data and stream is child.stderr:
                        heard = time.monotonic()
                        watch(data)
                watch(b"")
                now = time.monotonic()
                if child.poll() is not None:
                    # A grandchild may hold the pipes open: what was said is said by now.
                    ended = ended or now
                    if now - ended > 1.0:
                        break
                elif deadline.expired or now - heard > silence:
                    break
        late = child.poll() is None and (deadline.expired or time.monotonic() - heard > silence)
        returncode = None if late else child.wait(max(0.0, deadline.remaining()) + 1.0)
    except subprocess.TimeoutExpired:
        returncode = None
    finally:
        if child.poll() is None:
            _end_group(child)
        _running.discard(child)
        for stream in said:
            stream.close()
    texts = [bytes(content).decode("utf-8", "replace") for content in said.values()]
    return Completed(tuple(args), returncode, texts[0], texts[1], time.monotonic() - started)


def _start(args: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """A child that `end_all` knows from its start. Raises OSError."""
    with _starting:
        if _ended.is_set() and threading.current_thread() is not threading.main_thread():
            raise InterruptedError(errno.EINTR, "the program is ending")
        child = subprocess.Popen(args, **options)
        _running.add(child)
    return child


def _drain(stream: subprocess._FILE, kept: bytearray, on_line: Callable[[str, float], None] | None) -> None:
    assert stream is not None and not isinstance(stream, int)
    for line in iter(lambda: stream.readline(65536), b""):
        if on_line is not None:
            on_line(line.decode("utf-8", "replace").rstrip("\n"), time.monotonic())
        kept += line
        if len(kept) > OUTPUT_LIMIT:
            del kept[: len(kept) - OUTPUT_LIMIT]
    stream.close()


def _end_group(child: subprocess.Popen[bytes]) -> None:
    for sign, seconds in ((signal.SIGTERM, TERMINATE_SECONDS), (signal.SIGKILL, TERMINATE_SECONDS)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(child.pid) == child.pid:
                os.killpg(child.pid, sign)
            else:  # it has the terminal, in this process's own group
                child.send_signal(sign)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return


class ProcessId(Struct, frozen=True):
    """A process that outlives the command that started it: its number and when it began.

    `born` is an opaque text (the start time as the kernel counts it); the pair is not reused.
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The identity of the process `pid`; None when there is none (or it is a zombie)."""
        born = _born(pid)
        return None if born is None else cls(pid, born)

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return _born(self.pid) == self.born

    def end(self, seconds: float = TERMINATE_SECONDS, *, at_once: bool = False) -> bool:
        """End it: ask, wait `seconds`, then insist. Whether it is gone. Never touches another process.

        One that was stopped is continued, so that it can end in an orderly way. With `at_once` nothing
        is asked.
        """
        for sign in (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                return True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sign)
                os.kill(self.pid, signal.SIGCONT)
            deadline = Deadline.after(seconds)
            while not deadline.expired:
                if not self.alive():
                    return True
                time.sleep(0.01)
        return not self.alive()


def command_of(pid: int) -> str:
    """The command line of a process that runs, for a user; "" where there is none, or it cannot be told."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        return " ".join(filter(None, words))
    except FileNotFoundError:
        return "" if sys.platform.startswith("linux") else ask_ps("args", pid)
    except OSError:
        return ""


def listed() -> Iterator[tuple[ProcessId, list[str]]]:
    """Every other process of this user's, with its arguments; none where the system lists none as files.

    Those of another mount namespace are left out: a path among the arguments of a container's process is
    another directory.
    """
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = entry.stat().st_uid == os.geteuid() and _room(entry) == _room(Path("/proc/self"))
            found = ProcessId.of(int(entry.name)) if ours else None
            if found is not None and found.pid != os.getpid():
                yield found, [os.fsdecode(word) for word in (entry / "cmdline").read_bytes().split(b"\0")]


def _room(process: Path) -> str:
    """The mount namespace of a process; its own user may ask."""
    return os.readlink(process / "ns/mnt")  # noqa: PTH115, a text, and no path of this machine's


def started_with(*arguments: str) -> Iterator[ProcessId]:
    """Every process of `listed` that has all of `arguments` among its own."""
    return (found for found, words in listed() if set(arguments) <= set(words))


def _born(pid: int) -> str | None:
    try:
        # The program's name, in parentheses, may hold spaces: count the fields behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if sys.platform.startswith("linux") else ask_ps("lstart", pid) or None
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def ask_ps(what: str, pid: int) -> str:
    """What `ps` says of a process, for systems without /proc; "" for no process and no answer."""
    try:
        answer = subprocess.run(
            ["ps", "-ww", "-o", f"{what}=", "-p", str(pid)],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
