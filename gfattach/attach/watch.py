"""An attachment looked at again and again: `status --watch`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.agent.model.status import AgentStatus, ForwardStatus
from gfattach.attach.route import agents
from gfattach.core.context import Context

#: Seconds between two looks.
WATCH_SECONDS = 1.0


class Look(Struct, frozen=True):
    """What one look saw, in UTC; `agent` is None when it has ended or, with `hung`, does not answer."""

    at: datetime
    agent: AgentStatus | None
    hung: bool = False

    def as_json(self) -> dict[str, Any]:
        """For programs: one document a look."""
        agent = None if self.agent is None else self.agent.as_json()
        state = "hung" if self.hung else "ended" if agent is None else "running"
        return {"schema": "gfattach.watch/1", "at": self.at.isoformat(), "state": state, "agent": agent}


def watch(workspace: Path | None, context: Context) -> Iterator[Look]:
    """A look whenever something has changed. Raises UsageError as soon as nothing is attached."""
    home = context.home(workspace)
    before: object = ()
    while True:
        record, directory = agents.recorded(home)
        agent = agents.ask(record, home)
        hung = agent is None and agents.runs(directory)
        now = hung if agent is None else tuple(_changing(each) for each in agent.forwards)
        if now != before:
            before = now
            yield Look(datetime.now(UTC).replace(microsecond=0), agent, hung)
        time.sleep(WATCH_SECONDS)


def _changing(forward: ForwardStatus) -> tuple[object, ...]:
    return (forward.name, forward.state, forward.open_connections, forward.total_connections,
            forward.bytes_sent, forward.bytes_received, forward.last_error, forward.pods)  # fmt: skip
