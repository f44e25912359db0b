"""Where gfattach keeps what: the one place that knows directories and their limits.

An attachment has a home: `.gfattach/` in its workspace (which ignores itself, so that git
never sees it), or, outside a workspace, a directory below the user's state directory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

from gfattach.core.errors import UsageError

_DIRS = PlatformDirs("gfattach", appauthor=False)

#: Files that make a directory the root of a workspace, the first that is found going up.
WORKSPACE_MARKERS = ("MODULE.bazel", "WORKSPACE.bazel", "WORKSPACE", "flake.nix", ".git", "gfattach.toml")


#: The directory that a workspace's attachment has to itself.
HOME_NAME = ".gfattach"


def state_directory() -> Path:
    """The user's state directory for gfattach (XDG_STATE_HOME on Linux)."""
    return Path(_DIRS.user_state_dir)


def cache_directory() -> Path:
    """The user's cache directory for gfattach (XDG_CACHE_HOME on Linux)."""
    return Path(_DIRS.user_cache_dir)


def config_directory() -> Path:
    """The user's configuration directory for gfattach (XDG_CONFIG_HOME on Linux)."""
    return Path(_DIRS.user_config_dir)


def find_workspace(start: Path) -> Path | None:
    """The nearest directory at or above `start` that holds a workspace marker."""
    for directory in (start, *start.parents):
        if any((directory / marker).exists() for marker in WORKSPACE_MARKERS):
            return directory
    return None


@dataclass(frozen=True)
class Home:
    """Where one attachment lives. `workspace` is None outside of any."""

    directory: Path
    workspace: Path | None

    @property
    def key(self) -> str:
        """Eight characters that tell this home from every other."""
        import hashlib  # its libraries cost a start more than all else here

        return hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:8]

    @property
    def record(self) -> Path:
        """The attachment's record."""
        return self.directory / "attachment.json"

    @property
    def lock(self) -> Path:
        """The file whose lock makes commands on this attachment take turns."""
        return self.directory / "lock"

    @property
    def journal(self) -> Path:
        """What was changed outside this home, and how to undo it."""
        return self.directory / "journal.json"

    @property
    def evidence(self) -> Path:
        """The last proof, as JSON."""
        return self.directory / "first-hit.json"

    @property
    def trial(self) -> Path:
        """What the embedded caches keep."""
        return self.directory / "trial"

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

    Raises UsageError for a workspace that is no directory.
    """
    if workspace is not None and not workspace.is_dir():
        raise UsageError(f"the workspace {workspace} is not a directory", "name an existing one")
    root = find_workspace(cwd.resolve()) if workspace is None else workspace.resolve()
    if root is None or root == Path.home().resolve():
        return Home(state_directory() / "attachments" / "default", None)
    return Home(root / HOME_NAME, root)
