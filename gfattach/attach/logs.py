"""What the agent of an attachment has logged, and from which level on it logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.agent.launch import supervisor
from gfattach.agent.model.state import log_file
from gfattach.attach.route import agents
from gfattach.attach.route.agents import ANSWER_SECONDS
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError, UsageError
from gfattach.core.files import read_bytes

#: Seconds between two looks at a file that is followed.
FOLLOW_SECONDS = 0.5


class Log(Struct, frozen=True):
    """Where an agent logs, the older half first, and what of it was asked for."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {"files": [str(file) for file in self.files if file.exists()], "lines": list(self.lines)}


def read_log(workspace: Path | None, context: Context, count: int) -> Log:
    """The last `count` entries of the agent of the workspace's attachment.

    Raises UsageError when nothing is attached there, and StorageError.
    """
    file = log_file(_directory(workspace, context))
    files = (file.with_name(f"{file.name}.1"), file)
    text = b"".join(read_bytes(each) or b"" for each in files).decode("utf-8", "replace")
    return Log(files, tuple(text.splitlines()[-count:] if count else ()))


def follow(log: Log) -> Iterator[str]:
    """Each further entry, until the agent's directory is removed; where the file was begun anew, what came
    before that is in the older half.
    """
    older, file = log.files
    read, rest = len(read_bytes(file) or b""), b""
    while file.parent.is_dir():
        time.sleep(FOLLOW_SECONDS)
        content = read_bytes(file) or b""
        if len(content) < read:
            rest, read = rest + (read_bytes(older) or b"")[read:], 0
        *lines, rest = (rest + content[read:]).split(b"\n")
        read = len(content)
        yield from (line.decode("utf-8", "replace") for line in lines)


def set_level(workspace: Path | None, context: Context, level: str) -> None:
    """Have the agent log from `level` on. Raises UsageError when none runs, AgentError for one that hangs."""
    directory = _directory(workspace, context)
    client = supervisor.find(directory)
    if client is None and agents.runs(directory):
        raise AgentError(
            "the agent does not answer: it is stopped or stuck",
            "replace it: gfattach up",
            code="agent.silent",
        )
    if client is None:
        raise UsageError("no agent runs here", "start it again: gfattach up", code="agent.ended")
    client.set_log_level(level, Deadline.after(ANSWER_SECONDS))


def _directory(workspace: Path | None, context: Context) -> Path:
    return agents.recorded(context.home(workspace))[1]
