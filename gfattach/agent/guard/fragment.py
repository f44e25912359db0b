"""Fragments that follow their forward: replaced while it is down, restored when it is back.

A substituter that was used before and cannot be reached is fatal to Nix builds, so that a fragment
must not name one; not every Bazel does without its cache, or fails without it, as its options say.
A file that holds anything but what is known of it was edited, and is left alone.
"""

from __future__ import annotations

from gfattach.agent.model.log import LOG
from gfattach.agent.model.spec import GuardedFile
from gfattach.core import files
from gfattach.core.errors import StorageError


def show(file: GuardedFile) -> bool:
    """Restore the fragment, because its forward is up; whether that was needed."""
    return _replace(file, file.empty, file.full)


def hide(file: GuardedFile) -> bool:
    """Empty the fragment, because its forward is down; whether that was needed."""
    return _replace(file, file.full, file.empty)


def _replace(file: GuardedFile, old: str, new: str) -> bool:
    try:
        if old == new or files.read_bytes(file.path) != old.encode():
            return False
        files.write_atomic(file.path, new.encode())
    except StorageError as error:
        LOG.error("%s", error)
        return False
    LOG.info("%s %s", "emptied" if new == file.empty else "restored", file.path)
    return True
