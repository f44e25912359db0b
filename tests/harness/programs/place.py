"""Where the tests keep what is slow to get."""

from __future__ import annotations

import os
from pathlib import Path


def kept_directory() -> Path:
    """The tests' cache; it outlives a run, and worktrees share it."""
    named = os.environ.get("GFATTACH_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "gfattach-tests"


def programs_directory() -> Path:
    """The programs in it: `NAME/KEY/`, one for each version that was fetched."""
    return kept_directory() / "programs"
