"""The home as a directory: made so that git never sees it, removed down to what is foreign."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from gfattach.core import git
from gfattach.core.errors import RefusedError, StorageError
from gfattach.core.files import (
    make_private_directory,
    read_bytes,
    remove,
    remove_tree,
    storage_error,
    write_atomic,
)
from gfattach.core.git import Standing
from gfattach.core.paths import Home, tracked_error
from gfattach.core.trust import ownership
from gfattach.credential.helper import HELPER_NAME

#: The file by which the home ignores itself, and all that is in it.
IGNORE_FILE = ".gitignore"
IGNORE = b"# gfattach: nothing here is for git\n*\n"

#: The fragments' names in the home.
BAZELRC = "bazelrc"
NIX_CONF = "nix.conf"

#: The netrc that the Nix fragment names, where its cache asks for a token.
NETRC = "netrc"

#: The bundle that the Nix fragment names: the authorities that Nix has, and the site's.
NIX_AUTHORITIES = "nix-authorities.pem"

#: The authorities that a published site has as text (`Site.with_authorities`).
AUTHORITIES = ("cache-ca.pem", "nix-ca.pem", NIX_AUTHORITIES)


def create_home(home: Home) -> None:
    """Make the home, 0700 and ignored by git; one that is there already is checked.

    Raises RefusedError when git tracks something in it or would take it, and StorageError when
    it cannot be made, or is not this user's.
    """
    directory = home.directory
    made = not ownership.claim(directory)
    make_private_directory(directory)
    ownership.claim(home.state)
    make_private_directory(home.state)
    if home.workspace is None:
        return
    try:
        if read_bytes(directory / IGNORE_FILE) is None:
            write_atomic(directory / IGNORE_FILE, IGNORE)
        answer = git.ask(directory)
        if answer.standing is not Standing.TRACKED:
            answer = git.ask(directory / BAZELRC)
        _refuse_visible(home, answer)
    except BaseException:
        if made:
            remove_home(home)
        raise


def withdraw(home: Home) -> None:
    """Remove the fragments alone: a build that begins from here on knows of no cache. Never raises: what
    cannot be removed `remove_home` tells, once the rest is undone.

    Whoever reads one does without it: `try-import` and `!include`.
    """
    if not home.directory.is_symlink():
        for name in (BAZELRC, NIX_CONF):
            with contextlib.suppress(StorageError):
                remove(home.directory / name)


def remove_home(home: Home) -> tuple[Path, ...]:
    """Remove from the home what gfattach made, and its directories when nothing else is in them.

    Returns what is left, which is foreign. Raises StorageError. Twice is fine.
    """
    fragments = {BAZELRC, NIX_CONF, NETRC, HELPER_NAME, *AUTHORITIES}
    state = {path.name for path in (home.record, home.journal, home.evidence, home.lock, home.trial)}
    if home.workspace is None:
        return _remove_own(home.directory, fragments | state, home.originals)
    left = _remove_own(home.directory, fragments, None)
    return (*left, *_remove_own(home.state, state, home.originals))


def _remove_own(directory: Path, names: set[str], originals: Path | None) -> tuple[Path, ...]:
    """Remove what is called one of `names` in `directory`; what is left."""
    if directory.is_symlink() or not directory.is_dir():
        return ()
    try:
        for entry in tuple(directory.iterdir()):
            if entry == originals:
                with contextlib.suppress(OSError):  # originals that an undo could not use are kept
                    entry.rmdir()
            elif entry.name in names or _is_temporary(entry.name, {*names, IGNORE_FILE}):
                _remove_any(entry)
        if read_bytes(directory / IGNORE_FILE) == IGNORE:
            remove(directory / IGNORE_FILE)
        left = tuple(sorted(directory.iterdir()))
        if not left:
            directory.rmdir()
    except OSError as error:
        raise storage_error("remove", directory, error) from error
    return left


def _refuse_visible(home: Home, answer: git.Answer) -> None:
    if answer.standing is Standing.TRACKED:
        raise tracked_error(home)
    if answer.standing is Standing.EXPOSED:
        raise RefusedError(
            f"git does not ignore {home.directory}",
            f"let {home.directory / IGNORE_FILE} hold one line, *, or remove it, and run it again",
            code="home.visible",
        )


def _is_temporary(name: str, names: Iterable[str]) -> bool:
    """Whether it is what an interrupted atomic write of one of `names` leaves behind."""
    return name.endswith(".new") and any(name.startswith(f".{each[:40]}.") for each in names)


def _remove_any(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        remove(path)
