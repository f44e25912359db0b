"""Where gfattach keeps what: the one place that knows directories and their limits.

An attachment has a home. What Bazel, Nix and shells read is in `.gfattach/` in its workspace (which ignores
itself, so that git never sees it), is written there and never read back; what gfattach itself goes by is in
the user's state directory, keyed by the workspace. Outside of any workspace both are one directory there.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gfattach.core import git
from gfattach.core.errors import RefusedError, UsageError
from gfattach.core.quote import command
from gfattach.core.trust import allowed, ownership

if TYPE_CHECKING:
    from platformdirs import PlatformDirs

#: Files that make a directory the root of a workspace, the first that is found going up.
WORKSPACE_MARKERS = ("MODULE.bazel", "WORKSPACE.bazel", "WORKSPACE", "flake.nix", ".git", "gfattach.toml")


#: The directory that a workspace's attachment has to itself.
HOME_NAME = ".gfattach"


@functools.cache
def _directories() -> PlatformDirs:
    """The library's answers, which read the environment each time. An agent has no use for it."""
    from platformdirs import PlatformDirs

    return PlatformDirs("gfattach", appauthor=False)


def state_directory() -> Path:
    """The user's state directory for gfattach (XDG_STATE_HOME on Linux)."""
    return Path(_directories().user_state_dir)


def cache_directory() -> Path:
    """The user's cache directory for gfattach (XDG_CACHE_HOME on Linux)."""
    return Path(_directories().user_cache_dir)


def runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """The session's directory in memory (XDG_RUNTIME_DIR), where that is one of this user alone.

    It is looked at each time: `sudo -E` hands on another user's.
    """
    named = environ.get("XDG_RUNTIME_DIR", "")
    directory = Path(named)
    if not named or not directory.is_absolute() or not directory.is_dir() or ownership.private(directory):
        return None
    return directory if os.access(directory, os.W_OK | os.X_OK) else None


def own_runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """gfattach's directory in `runtime_directory`, made or to be made; None where it is not this user's."""
    directory = runtime_directory(environ)
    if directory is None or ownership.private(directory / "gfattach"):
        return None
    return directory / "gfattach"


def config_directory() -> Path:
    """The user's configuration directory for gfattach (XDG_CONFIG_HOME on Linux)."""
    return Path(_directories().user_config_dir)


def find_workspace(start: Path) -> Path | None:
    """The nearest directory at or above `start` that holds a workspace marker."""
    for directory in (start, *start.parents):
        if any((directory / marker).exists() for marker in WORKSPACE_MARKERS):
            return directory
    return None


class Home(Struct, frozen=True):
    """Where one attachment lives. `workspace` is None outside of any.

    `directory` holds what other programs read, `state` what gfattach goes by.
    """

    directory: Path
    workspace: Path | None

    @property
    def state(self) -> Path:
        """The directory of the record, below the user's state directory."""
        if self.workspace is None:
            return self.directory
        return state_directory() / "attachments" / self.key

    @property
    def key(self) -> str:
        """Eight characters that tell this home from every other."""
        import hashlib  # its libraries cost a start more than all else here

        return hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:8]

    @property
    def record(self) -> Path:
        """The attachment's record."""
        return self.state / "attachment.json"

    @property
    def lock(self) -> Path:
        """The file whose lock makes commands on this attachment take turns."""
        return self.state / "lock"

    @property
    def journal(self) -> Path:
        """What was changed outside this home, and how to undo it."""
        return self.state / "journal.json"

    @property
    def originals(self) -> Path:
        """Copies of the files that were changed, as they were before."""
        return self.state / "originals"

    @property
    def evidence(self) -> Path:
        """The last proof, as JSON."""
        return self.state / "first-hit.json"

    @property
    def trial(self) -> Path:
        """What the embedded caches keep."""
        return self.state / "trial"

    @property
    def work(self) -> Path:
        """Room for what a proof needs while it runs (output bases, stores)."""
        return cache_directory() / "work" / self.key

    @property
    def flags_work(self) -> Path:
        """Room for asking a Bazel for its flags, beside a proof that may run."""
        return self.work.with_name(f"{self.key}-flags")

    @property
    def warming(self) -> Home:
        """The home whose room filling the cache uses, beside a proof that may run."""
        return Home(self.work / "warm", None)

    @property
    def rooms(self) -> tuple[Path, ...]:
        """All that may be left in the cache directory by a command on this home that was killed."""
        return (self.work, self.flags_work, self.warming.work)


def resolve_home(workspace: Path | None, cwd: Path) -> Home:
    """The home for `--workspace` (or, without one, for the workspace around `cwd`, or for the user).

    Raises UsageError for a workspace that is no directory; RefusedError for one that another user may write
    to (`trust.workspace`), unless it was allowed, and for a `.gfattach` in it that gfattach has not made:
    a link (`trust.link`), another user's (`trust.owner`), or tracked by git (`home.tracked`).
    """
    if workspace is not None and not workspace.is_dir():
        raise UsageError(f"the workspace {workspace} is not a directory", "name an existing one")
    root = find_workspace(cwd.resolve()) if workspace is None else workspace.resolve()
    if root is None or root == Path.home().resolve():
        return Home(state_directory() / "attachments" / "default", None)
    demand_own(root)
    home = Home(root / HOME_NAME, root)
    if ownership.claim(home.directory) and git.tracked(root, [HOME_NAME]):
        raise tracked_error(home)
    return home


def demand_own(workspace: Path) -> None:
    """Raise RefusedError (`trust.workspace`) where another user may decide what is in `workspace`: its
    directory or a file that makes it one is not this user's (or root's) alone, and nobody has allowed it.
    """
    for path in (workspace, *(workspace / marker for marker in WORKSPACE_MARKERS)):
        reason = ownership.doubt(path)
        if not reason:
            continue
        if allowed.read(state_directory(), workspace).directory:
            return
        raise RefusedError(
            f"{path} {reason}, so another user may decide what is done in the workspace {workspace}",
            "if you trust who writes there: "
            f"{command('gfattach', 'site', 'allow', '--workspace', workspace)}",
            f"or name a workspace of your own: {command('gfattach', 'up', '--workspace')} DIRECTORY",
            code="trust.workspace",
        )


def tracked_error(home: Home) -> RefusedError:
    """What is said of a `.gfattach` that came with a repository."""
    return RefusedError(
        f"git tracks files in {home.directory}: they came with the repository, and none of them is believed",
        "take them out of it, and off this disk, and run it again: "
        f"{command('git', '-C', str(home.workspace), 'rm', '-r', '-f', HOME_NAME)}",
        code="home.tracked",
    )
