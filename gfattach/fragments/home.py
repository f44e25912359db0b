"""The home as a directory: made so that git never sees it, removed down to what is foreign."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from gfattach.core import git
from gfattach.core.errors import RefusedError, StorageError
from gfattach.core.files import (
    PRIVATE_DIRECTORY,
    make_private_directory,
    read_bytes,
    remove,
    remove_tree,
    storage_error,
    write_atomic,
)
from gfattach.core.git import Standing
from gfattach.core.paths import Home
from gfattach.credential.helper import HELPER_NAME
from gfattach.undo.journal import ORIGINALS

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
    made = not _is_ours(directory)
    make_private_directory(directory)
    if home.workspace is None:
        return
    try:
        if read_bytes(directory / IGNORE_FILE) is None:
            write_atomic(directory / IGNORE_FILE, IGNORE)
        answer = git.ask(directory)
        if answer.standing is not Standing.TRACKED:
            answer = git.ask(home.record)
        _refuse_visible(home, answer)
    except BaseException:
        if made:
            remove_home(home)
        raise


def remove_home(home: Home) -> tuple[Path, ...]:
    """Remove from the home what gfattach made, and the home when nothing else is in it.

    Returns what is left, which is foreign. Raises StorageError. Twice is fine.
    """
    directory = home.directory
    if directory.is_symlink() or not directory.is_dir():
        return ()
    names = {path.name for path in (home.record, home.journal, home.evidence, home.lock, home.trial)}
    names |= {BAZELRC, NIX_CONF, NETRC, HELPER_NAME, *AUTHORITIES}
    try:
        for entry in tuple(directory.iterdir()):
            if entry.name == ORIGINALS:
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


def _is_ours(directory: Path) -> bool:
    """Whether it is there, private from now on. Raises StorageError when it is there and another's."""
    try:
        status = directory.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise StorageError(
                f"{directory} is a symbolic link, and gfattach writes to no place that it did not make",
                f"remove it: rm '{directory}'",
            )
        if status.st_uid != os.geteuid():
            raise StorageError(
                f"{directory} belongs to the user {status.st_uid}, and this is {os.geteuid()}",
                "run gfattach as that user, or remove the directory",
            )
        if stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) != PRIVATE_DIRECTORY:
            directory.chmod(PRIVATE_DIRECTORY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise storage_error("use the directory", directory, error) from error
    return True


def _refuse_visible(home: Home, answer: git.Answer) -> None:
    if answer.standing is Standing.TRACKED:
        raise RefusedError(
            f"git tracks files in {home.directory}",
            f"take them out of git: git -C '{home.workspace}' rm -r --cached .gfattach",
            code="home.tracked",
        )
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
