"""Why a Bazel server crashed, out of the logs in its output base."""

from __future__ import annotations

import re
from pathlib import Path

#: Bytes at the end of a log in which the cause of a crash is looked for.
_LOG_TAIL = 256 * 1024

_EXCEPTION = re.compile(
    r"^(?:Caused by: |Exception in thread .*? |.*?(?:SEVERE|FATAL|WARNING): .*?)?"
    r"(?P<type>(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error)\w*)(?:: (?P<message>.*))?$"
)


def crash_cause(output_base: Path) -> str:
    """The exception at the root of the server's end, out of its logs; "" when they name none.

    A crash in Bazel's remote module leaves the console empty (exit 37): the cause is in
    `java.log`, or, when the JVM itself did not come up, in `jvm.out`.
    """
    console = output_base / "server" / "jvm.out"
    logs = sorted(output_base.glob("java.log.*"), key=_changed)
    for log in (output_base / "java.log", *reversed(logs), console):
        if cause := _root_exception(_tail(log)):
            return cause
    lines = [line.strip() for line in _tail(console).splitlines()]
    return " | ".join([line for line in lines if line and "warning" not in line.lower()][-2:])


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL))
            return file.read(_LOG_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""


def _root_exception(text: str) -> str:
    """The innermost exception of the last stack trace in `text`: `Type: message`."""
    found = ""
    for line in text.splitlines():
        if match := _EXCEPTION.match(line.rstrip()):
            name = match["type"].rpartition(".")[2]
            found = f"{name}: {match['message']}" if match["message"] else name
    return found
