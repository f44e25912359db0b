"""An attachment of an earlier gfattach, which kept its record, journal and originals in the workspace.

Nothing of what such a directory says is believed: it may have come with a repository. What is undone is what
that version can have written, found by its names: its own files in `.gfattach/`, its marked block in the one
rc file that it ever changed, its fragment below the user's state directory, its registrations with agents of
this user. So nothing else is touched, whatever the directory holds.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from gfattach.agent.model.registry import Registry
from gfattach.attach.route import agents
from gfattach.core import git
from gfattach.core.engine import Run
from gfattach.core.errors import GfattachError
from gfattach.core.files import read_bytes, remove, remove_tree, write_atomic
from gfattach.core.finding import Finding, ok
from gfattach.core.paths import Home, state_directory
from gfattach.core.process import command_of
from gfattach.fragments.home import remove_home
from gfattach.fragments.link import USER_RC
from gfattach.undo import managed_block

_RECORD, _TRIAL, _ORIGINALS = "attachment.json", "trial", "originals"
_FILES = (_RECORD, "journal.json", "first-hit.json", "lock")


def is_earlier(home: Home) -> bool:
    """Whether such an attachment is in the workspace of `home`."""
    if home.workspace is None:
        return False
    return any((home.directory / name).is_file() for name in (_RECORD, "journal.json"))


def undo_earlier(home: Home, run: Run) -> None:
    """Undo such an attachment, if there is one, as a step of `run`. Raises StorageError and AgentError."""
    if not is_earlier(home):
        return

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        _undo(home)
        seen = f"an attachment of an earlier gfattach in {home.directory} was undone"
        return {"earlier": ok("attachment.earlier.undone", seen)}

    run.step("earlier", "undo the attachment of an earlier gfattach", work)


def _undo(home: Home) -> None:
    record = home.directory / _RECORD
    for directory in sorted((state_directory() / "agents").glob("*")):
        if any(item.record == record for item in Registry(directory).registrations):
            agents.release(directory, record)
    _end_trial(home.directory / _TRIAL)
    original = _take_out_block(home)
    remove(state_directory() / "nix" / f"{home.key}.conf")
    for name in _FILES:
        _remove_file(home.directory / name)
    _remove_originals(home.directory / _ORIGINALS, original)
    remove_home(home)


def _end_trial(directory: Path) -> None:
    """End the embedded caches of `directory`, if a process says in its own command line that it is them."""
    from gfattach.trial import supervisor
    from gfattach.trial.state import read_state

    if directory.is_symlink() or not directory.is_dir():
        return
    state = read_state(directory)
    if state is not None:
        line = command_of(state.process.pid)
        if "gfattach.trial" in line and str(directory) in line:
            with contextlib.suppress(GfattachError):  # it ends by itself, once its files are gone
                supervisor.stop(directory)
    remove_tree(directory)


def _take_out_block(home: Home) -> bytes | None:
    """Take the marked block out of the workspace's own rc file; what the file holds without it.

    A link, a file that git tracks, and one without a whole block stay as they are.
    """
    assert home.workspace is not None
    file = home.workspace / USER_RC
    with contextlib.suppress(FileNotFoundError):
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or git.tracked(home.workspace, [USER_RC]):
            return None
        content = read_bytes(file) or b""
        try:
            without = managed_block.take_out(content)
        except managed_block.DamagedBlockError:
            return None
        if without == b"":
            remove(file)
        elif without is not None:
            write_atomic(file, without, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))
        return without
    return None


def _remove_originals(directory: Path, restored: bytes | None) -> None:
    """Remove the copies that say nothing that is not in a file again; others are somebody's only copy."""
    if directory.is_symlink() or not directory.is_dir():
        return
    for copy in directory.iterdir():
        if copy.is_file() and not copy.is_symlink() and read_bytes(copy) == (restored or b""):
            remove(copy)
    with contextlib.suppress(OSError):  # not empty
        directory.rmdir()


def _remove_file(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISREG(path.lstat().st_mode):
            remove(path)
