"""What a workspace's `tools/bazel` makes of a command, found out without Bazel running it.

Bazelisk and Debian's Bazel run that file in Bazel's place and name the real one in BAZEL_REAL; a plain Bazel
runs none. Options that it puts behind those it was given win over them, an executor's too, and that would be
called. So it is given a BAZEL_REAL that writes the command down. Everything else that it asks of Bazel (its
version, say) the real one answers, so that what it decides is what it will decide.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from gfattach.bazel.program.bazelisk import wrapper_directory
from gfattach.bazel.server.run import Server
from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.files import make_private_directory, read_bytes, remove_tree, write_atomic

#: Where a workspace has it.
WRAPPER = "tools/bazel"

#: The variable that names the real Bazel to a wrapper.
REAL = "BAZEL_REAL"

_EXECUTABLE = 0o700

#: Stands in for a wrapper, and tells what a launcher gives it.
_ASK = """#!/bin/sh
printf '%s' "$BAZEL_REAL" > {answer}
"""

#: Stands in for Bazel: a command is written down, each word behind the other; the rest is Bazel's.
_RECORD = """#!/bin/sh
for word; do
    if [ "$word" = {command} ]; then
        printf '%s\\0' "$@" > {answer}
        exit 0
    fi
done
exec {real} "$@"
"""


def seen_by_bazel(
    server: Server, wrapper: Path, words: Sequence[str], command: str, work: Path, deadline: Deadline
) -> tuple[Path, list[str]] | None:
    """The real Bazel, and what stands behind its name when `words` (with `command` in them) go to `wrapper`.

    None when the program of `server` runs no wrapper, and when the wrapper does not call the Bazel that it
    is given: then it runs one of its own, or none. Raises StorageError, and OSError for what cannot be run.
    """
    room = make_private_directory(work / "wrapper")
    try:
        real = _real(server, room, deadline)
        if real is None:
            return None
        answer, recorder = room / "words", room / "bazel"
        names = {"answer": answer, "real": real, "command": command}
        _write(recorder, _RECORD.format(**{name: shlex.quote(str(value)) for name, value in names.items()}))
        process.run(
            [str(wrapper), *words],
            deadline,
            env={**server.environment, REAL: str(recorder)},
            cwd=server.workspace,
        )
        recorded = read_bytes(answer)
        if recorded is None:
            return None
        return real, [os.fsdecode(word) for word in recorded.split(b"\0")[:-1]]
    finally:
        remove_tree(room)


def _real(server: Server, room: Path, deadline: Deadline) -> Path | None:
    """What the program of `server` names to a wrapper: seen in a workspace that is made for it."""
    workspace = make_private_directory(room / "workspace")
    for marker in ("WORKSPACE", "MODULE.bazel"):
        (workspace / marker).touch()
    directory = make_private_directory(workspace / wrapper_directory(None, server.environment))
    answer = room / "real"
    _write(directory / "bazel", _ASK.format(answer=shlex.quote(str(answer))))
    process.run([str(server.bazel.path), "--version"], deadline, env=dict(server.environment), cwd=workspace)
    named = read_bytes(answer)
    return Path(os.fsdecode(named)) if named else None


def _write(path: Path, text: str) -> None:
    write_atomic(path, os.fsencode(text), mode=_EXECUTABLE, durable=False)
