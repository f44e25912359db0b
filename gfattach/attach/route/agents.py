"""The agent of an attachment, from the command line's side: having one, asking it, giving it up.

One agent serves every attachment that goes into the same cluster as the same user, and one the
attachments that need no forward.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.agent.guard import watchdog
from gfattach.agent.launch import supervisor
from gfattach.agent.launch.client import AgentClient
from gfattach.agent.launch.environment import handed_over
from gfattach.agent.model import state as agent_state
from gfattach.agent.model.registry import Registry, place
from gfattach.agent.model.spec import Registration
from gfattach.agent.model.status import AgentStatus, ForwardStatus, State
from gfattach.attach.model import record as records
from gfattach.attach.model.record import Attachment
from gfattach.attach.route.route import Route
from gfattach.contract.environment import WITHHELD
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError, GfattachError, UsageError
from gfattach.core.paths import Home
from gfattach.core.process import ProcessId

#: Seconds that an agent may take to be there, and to have the listeners of a registration open.
AGENT_SECONDS = 10.0

#: Seconds for a forward to be well once it listens.
WELL_SECONDS = 10.0

#: Seconds that a command waits for forwards that it had opened again, before it does without.
REVIVED_SECONDS = 2.0

#: Seconds for one answer of an agent that runs.
ANSWER_SECONDS = 5.0

#: Seconds for which an agent that nobody needs any more may still be about.
END_SECONDS = 5.0


def directory_for(route: Route) -> Path:
    """Where the agent of `route` lives."""
    return agent_state.agent_directory(route.cluster)


def agent_for(route: Route, lease_hours: float) -> AgentClient:
    """The agent of `route`, running. Raises AgentError, StorageError and ClusterError."""
    return supervisor.ensure(
        directory_for(route),
        route.cluster,
        lease_seconds=lease_hours * 3600.0,
        withheld=WITHHELD,
        deadline=Deadline.after(AGENT_SECONDS),
    )


def hand_over(client: AgentClient, route: Route) -> None:
    """Have the agent go by what has just reached the cluster of `route`: this environment, and what an exec
    plugin handed out. Raises AgentError and ClusterError.
    """
    environ, credential = handed_over(route.cluster, WITHHELD), route.exec_credential
    document = None if credential is None else credential.as_json()
    client.adopt(environ, document, Deadline.after(ANSWER_SECONDS))


def settled(
    client: AgentClient,
    names: Sequence[str],
    seconds: float = WELL_SECONDS,
    states: Sequence[State] = ("up", "down"),
    *,
    anew: bool = False,
) -> dict[str, ForwardStatus]:
    """The forwards once each is in one of `states`, `anew` by an answer that was asked for after this; as
    they are when that takes longer than `seconds`.
    """
    deadline = Deadline.after(seconds + ANSWER_SECONDS)
    status = client.awaited(names, states, seconds, deadline, anew=anew)
    return {forward.name: forward for forward in status.forwards if forward.name in names}


def revive(record: Attachment) -> None:
    """Have the agent of an attachment run again, if it has ended. Raises AgentError and StorageError."""
    if record.agent is None or runs(record.agent):
        return
    supervisor.ensure(
        record.agent,
        record.cluster,
        withheld=WITHHELD,
        deadline=Deadline.after(AGENT_SECONDS),
    )


def keep_watched(record: Attachment) -> None:
    """Have an agent that has ended run again before a build, and never let the build fail for want of one.

    Until it is known to be well what it guards is empty, and stays so where no agent can be had.
    """
    if record.agent is None or runs(record.agent):
        return
    watchdog.hide_all(record.agent)
    with contextlib.suppress(GfattachError):
        revive(record)
        client = supervisor.find(record.agent)
        if client is not None:
            status = client.status(Deadline.after(ANSWER_SECONDS))
            settled(client, [forward.name for forward in status.forwards], REVIVED_SECONDS)


class Hung(Struct, frozen=True):
    """An agent that does not answer and was left running: the attachments in `others` use it too."""

    pid: int
    others: tuple[Path, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"pid": self.pid, "others": [str(path) for path in self.others]}


def release(directory: Path, record: Path) -> bool | Hung:
    """Give up what the attachment of `record` has there; whether an agent ran, or one that cannot be told.

    The last one takes the agent with it, and all that the agent kept, also one that is stopped or stuck.
    Raises AgentError and StorageError.
    """
    client = supervisor.find(directory)
    if client is None and runs(directory):
        return _release_hung(directory, record)
    if client is not None:
        deadline = Deadline.after(ANSWER_SECONDS)
        state = agent_state.read_state(directory)
        client.unregister(record, deadline)
        if not any(other.exists() for other in client.status(deadline).records):
            client.stop(deadline)
            if state is not None:
                _await_end(state.process)
    supervisor.discard(directory, record)
    return client is not None


def _release_hung(directory: Path, record: Path) -> bool | Hung:
    """End an agent that does not answer, unless other attachments use it; what it is if it is there still."""
    others, state = _others(directory, record), agent_state.read_state(directory)
    if not others:
        with contextlib.suppress(AgentError):  # it does not end
            supervisor.stop(directory)
            supervisor.discard(directory, record)
            return True
    return state is not None and Hung(state.process.pid, tuple(sorted(map(place, others))))


def recorded(home: Home) -> tuple[Attachment, Path]:
    """The attachment of `home`, and the directory of its agent. Raises UsageError where it has none."""
    record = records.load(home)
    if record is None:
        raise UsageError(
            "nothing is attached here", "attach first: gfattach up, or gfattach up --trial", code="agent.none"
        )
    if record.agent is None:
        raise UsageError(
            f"no agent belongs to this attachment ({record.kind}): nothing is forwarded, nothing is watched",
            "see how it is: gfattach status",
            code="agent.none",
        )
    return record, record.agent


def ask(record: Attachment, home: Home) -> AgentStatus | None:
    """How the agent of an attachment is, with the forwards that this attachment asked for and no others'.

    None where it has none, or it gives no answer. Raises StorageError.
    """
    client = None if record.agent is None else supervisor.find(record.agent)
    if record.agent is None or client is None:
        return None
    try:
        status = client.status(Deadline.after(ANSWER_SECONDS))
    except AgentError:
        return None
    wanted = Registry(record.agent).of(home.record)
    return replace(status, forwards=tuple(each for each in status.forwards if each.name in wanted))


def runs(directory: Path) -> bool:
    """Whether the agent of `directory` has not ended, whether or not it answers."""
    state = agent_state.read_state(directory)
    return state is not None and state.process.alive()


def _others(directory: Path, record: Path) -> list[Registration]:
    """The other attachments than that of `record` that the agent of `directory` is there for."""
    registry = Registry(directory)
    left_out = {record, *registry.missing_records()}
    return [item for item in registry.registrations if item.record not in left_out]


def _await_end(process: ProcessId) -> None:
    deadline = Deadline.after(END_SECONDS)
    while process.alive() and not deadline.expired:
        time.sleep(0.01)
