"""Background start: a process that outlives this one, up to its readiness handshake.

Such a process writes one JSON document to its standard output and closes it: `{"ready": ...}` when it
serves, `{"error": {...}}` when it cannot. Its standard error goes to a private log. Its standard input may
hold what is only made while it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core import files
from gfattach.core.deadline import Deadline

#: Bytes at the end of a log that are looked at, and lines of them that are shown.
_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 5


class Beginning(Struct, frozen=True):
    """What came of a start.

    `ready` is what the process said of itself, None when it does not serve: then it has ended with
    `exit_code`, or was ended because it took too long (`late`), `error` is what it said was wrong ({} for
    nothing), and `last_words` are the last lines of its log.
    """

    ready: Any = None
    error: Mapping[str, Any] | None = None
    exit_code: int = 0
    late: bool = False
    last_words: Sequence[str] = ()

    def failure(self, what: str, was: str, log: Path) -> tuple[str, ...]:
        """The fact and the hints for a start that failed; `what` is the process, `was` its verb."""
        fact = f"{what} {was} not ready in time" if self.late else f"{what} ended with {self.exit_code}"
        return (fact, *self.last_words, f"see the log: {log}")


def environment(passed_on: Callable[[str], bool]) -> dict[str, str]:
    """The variables that such a process is started with: those of this one's that are to be `passed_on`.

    What this process can import the other has to find too, however gfattach was installed.
    """
    kept = {name: value for name, value in os.environ.items() if passed_on(name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONUTF8": "1"}


def begin(
    args: Sequence[str],
    environ: Mapping[str, str],
    log: Path,
    deadline: Deadline,
    meanwhile: Callable[[], bytes] | None = None,
) -> Beginning:
    """Start `args` in a session of its own, and wait for its first words.

    What `meanwhile` returns is the process's standard input; it is called once the process is there, and
    what it raises ends the process. Raises StorageError and OSError.
    """
    try:
        handle = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, files.PRIVATE_FILE)
    except OSError as error:
        raise files.storage_error("write", log, error) from error
    try:
        logged_before = os.fstat(handle).st_size
        child = _child(
            list(args),
            stdin=subprocess.DEVNULL if meanwhile is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=handle,
            cwd="/",
            env=dict(environ),
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(handle)
    try:
        if meanwhile is not None:
            _hand_over(child, meanwhile, deadline)
        said = _readiness(child, deadline)
    except BaseException:
        child.kill()
        child.wait()
        raise
    finally:
        assert child.stdout is not None
        child.stdout.close()
    document = _parsed(said)
    if document.get("ready"):
        # It outlives this process; while this one lives, its end has to be collected.
        threading.Thread(target=child.wait, name="reaper", daemon=True).start()
        return Beginning(ready=document["ready"])
    if said is None:
        child.kill()
    code = child.wait()
    return Beginning(None, document.get("error"), code, said is None, _last_lines(log, logged_before))


def _child(args: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """The process of `args`. An interrupt while it is made ends it: nothing else knows of it yet.

    It is made in a thread, where no interrupt is raised, and only once that thread is there: the start of one
    can be interrupted too, and does not say whether it has begun. Raises OSError.
    """
    made: list[subprocess.Popen[bytes] | OSError] = []
    go, done = threading.Event(), threading.Event()  # an interrupted join counts as ended (CPython 3.11)

    def make() -> None:
        go.wait()
        try:
            made.append(subprocess.Popen(args, **options))
        except OSError as error:
            made.append(error)
        finally:
            done.set()

    threading.Thread(target=make, name="starting a process", daemon=True).start()
    try:
        go.set()
        done.wait()
    except BaseException:
        go.set()
        done.wait()
        for each in made:
            if isinstance(each, subprocess.Popen):
                with each:
                    each.kill()
        raise
    [child] = made
    if isinstance(child, OSError):
        raise child
    return child


def _hand_over(child: subprocess.Popen[bytes], made: Callable[[], bytes], deadline: Deadline) -> None:
    assert child.stdin is not None
    with child.stdin:
        content, handle = made(), child.stdin.fileno()
        os.set_blocking(handle, False)
        with contextlib.suppress(BrokenPipeError):  # how it has ended is told by its code and its log
            # A pipe holds less than an environment can have.
            while content and select.select([], [handle], [], deadline.remaining())[1]:
                content = content[os.write(handle, content) :]


def _readiness(child: subprocess.Popen[bytes], deadline: Deadline) -> bytes | None:
    """What the child says before it closes its standard output; None when it takes too long."""
    assert child.stdout is not None
    said = b""
    while select.select([child.stdout], [], [], deadline.remaining())[0]:
        more = os.read(child.stdout.fileno(), 65536)
        if not more:
            return said
        said += more
    return None


def _parsed(said: bytes | None) -> dict[str, Any]:
    try:
        document = json.loads(said or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _last_lines(log: Path, offset: int) -> tuple[str, ...]:
    content = (files.read_bytes(log) or b"")[offset:][-_TAIL_BYTES:]
    return tuple([line for line in content.decode("utf-8", "replace").splitlines() if line][-_TAIL_LINES:])
