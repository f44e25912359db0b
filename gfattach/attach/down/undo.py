"""Taking back what `up` did, whether there is a record of it or only the beginnings of one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.attach.bazel import headers
from gfattach.attach.model import record as records
from gfattach.attach.model.record import RecordError
from gfattach.attach.route import agents
from gfattach.attach.route.agents import Hung
from gfattach.bazel.server.run import end_strays
from gfattach.core.errors import AgentError
from gfattach.core.files import remove_tree
from gfattach.core.paths import Home, state_directory
from gfattach.fragments.home import remove_home, withdraw
from gfattach.undo.journal import Journal, Outcome


class Undoing(Struct, frozen=True):
    """What was undone: whether a trial ran and an agent, what became of each changed file, what is left.

    `hung` is an agent that runs still, and could not be told that it holds nothing for this home.
    """

    trial_stopped: bool
    released: bool
    hung: Hung | None
    files: Sequence[Outcome]
    left: Sequence[Path]


def undo(home: Home, environ: Mapping[str, str]) -> Undoing:
    """Undo the attachment of `home`: the fragments in it first, for the builds that begin meanwhile, then
    processes, then files, the record last. Twice is fine.

    Raises StorageError.
    """
    from gfattach.trial import supervisor

    withdraw(home)
    for room in home.rooms:
        end_strays(room)
    released = _release(home)
    stopped = supervisor.stop(home.trial) if home.trial.exists() else False
    outcomes = Journal(home).undo()
    for room in home.rooms:
        remove_tree(room)
    headers.sweep(environ)
    records.forget(home)
    left = remove_home(home)
    leave_no_empty_directory()
    hung = released if isinstance(released, Hung) else None
    return Undoing(stopped, released is True, hung, outcomes, left)


def leave_no_empty_directory() -> None:
    """Remove what was made to hold the state of attachments, and agents, once it is empty."""
    with contextlib.suppress(OSError):  # there are others, or something else
        for directory in (state_directory() / "attachments", state_directory()):
            if directory.exists():
                directory.rmdir()


def _release(home: Home) -> bool | Hung:
    """Give up what the agent holds for this home; whether one ran. An agent that cannot be told, or that
    no readable record names, finds the record gone a moment later.
    """
    with contextlib.suppress(RecordError, AgentError):
        record = records.load(home)
        if record is not None and record.agent is not None:
            return agents.release(record.agent, home.record)
    return False
