"""An attachment looked at again and again: `status --watch`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gfattach import attachment as records
from gfattach.agent.status import AgentStatus, ForwardStatus
from gfattach.attach import agents
from gfattach.errors import UsageError
from gfattach.paths import resolve_home

#: Seconds between two looks.
WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Look:
    """What one look saw, in UTC; `agent` is None when it has ended."""

    at: datetime
    agent: AgentStatus | None

    def as_json(self) -> dict[str, Any]:
        """For programs: one document a look."""
        agent = None if self.agent is None else self.agent.as_json()
        return {"schema": "gfattach.watch/1", "at": self.at.isoformat(), "agent": agent}


def watch(workspace: Path | None) -> Iterator[Look]:
    """A look whenever something has changed, for ever. Raises UsageError when nothing is attached."""
    home = resolve_home(workspace, Path.cwd())
    record = records.load(home)
    if record is None or record.agent is None:
        raise UsageError("nothing is attached here", "attach first: gfattach up", code="agent.none")
    before: object = ()
    while True:
        agent = agents.ask(record, home)
        now = None if agent is None else tuple(_changing(each) for each in agent.forwards)
        if now != before:
            before = now
            yield Look(datetime.now(UTC).replace(microsecond=0), agent)
        time.sleep(WATCH_SECONDS)


def _changing(forward: ForwardStatus) -> tuple[object, ...]:
    return (forward.name, forward.state, forward.open_connections, forward.total_connections,
            forward.bytes_sent, forward.bytes_received, forward.last_error)  # fmt: skip
