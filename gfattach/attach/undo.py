"""Taking back what `up` did, whether there is a record of it or only the beginnings of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gfattach import attachment as records
from gfattach.attach import headers
from gfattach.files import remove_tree
from gfattach.fragments.home import remove_home
from gfattach.journal import Journal, Outcome
from gfattach.paths import Home


@dataclass(frozen=True)
class Undoing:
    """What was undone: whether a trial ran, what became of each changed file, what is left in the home."""

    attached: bool
    trial_stopped: bool
    files: Sequence[Outcome]
    left: Sequence[Path]


def undo(home: Home) -> Undoing:
    """Undo the attachment of `home`: processes first, then files, the record last. Twice is fine.

    Raises StorageError.
    """
    from gfattach.trial import supervisor

    stopped = supervisor.stop(home.trial) if home.trial.exists() else False
    outcomes = Journal(home).undo()
    remove_tree(home.work)
    headers.sweep()
    attached = records.forget(home)
    return Undoing(attached, stopped, outcomes, remove_home(home))
