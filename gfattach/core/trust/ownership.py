"""The owner, mode and links of what lies on disk: whether another local user can have put it there.

The rule is that of git's safe.directory and of OpenSSH's StrictModes: what this user (or root) owns and
nobody else may write to. A group counts as nobody else where it is this user's alone, as Debian and Fedora
make one for each user.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gfattach.core.errors import RefusedError
from gfattach.core.files import PRIVATE_DIRECTORY, storage_error
from gfattach.core.quote import command

#: Permission bits with which others read, write or search.
_OTHERS = 0o077


def name_of(uid: int) -> str:
    """A user for a user: the name with the number, or the number alone."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except (KeyError, OverflowError):
        return str(uid)


def doubt(path: Path) -> str:
    """Why `path` may be another user's doing, as the end of a sentence; "" where it is not, or is not there.

    The last part of the path is looked at itself, and what a link leads to besides. Never raises: what
    cannot be looked at is in doubt.
    """
    try:
        own = path.lstat()
        found = (own, path.stat()) if stat.S_ISLNK(own.st_mode) else (own,)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"cannot be looked at: {os.strerror(error.errno or errno.EIO).lower()}"
    return next(filter(None, map(_doubt_of, found)), "")


def _doubt_of(status: os.stat_result) -> str:
    if status.st_uid not in (os.geteuid(), 0):
        return f"belongs to the user {name_of(status.st_uid)}"
    if stat.S_ISLNK(status.st_mode):
        return ""  # its mode says nothing
    if status.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if status.st_mode & stat.S_IWGRP and not _own_group(status.st_gid):
        return f"can be written by the group {status.st_gid}"
    return ""


def _own_group(gid: int) -> bool:
    """Whether nobody but this user and root is in the group."""
    import grp
    import pwd

    if gid == 0 and os.geteuid() == 0:
        return True
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and {*group.gr_mem} <= {user.pw_name}


def private(directory: Path) -> str:
    """Why `directory` is not one that this user alone can reach into, as the end of a sentence; "" if it is.

    One that is missing is no doubt: whoever makes it makes it private. Raises StorageError.
    """
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise storage_error("use the directory", directory, error) from error
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if not stat.S_ISDIR(status.st_mode):
        return "is no directory"
    if status.st_uid != os.geteuid():
        return f"belongs to the user {name_of(status.st_uid)}"
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        return f"can be reached into by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def claim(directory: Path) -> bool:
    """Whether `directory` is this user's own, private from now on; False where there is none.

    Raises RefusedError (`trust.link`, `trust.owner`) for one that another user made, or that leads elsewhere,
    and StorageError for one that cannot be closed to others.
    """
    try:
        status = directory.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise storage_error("use the directory", directory, error) from error
    if stat.S_ISLNK(status.st_mode):
        raise RefusedError(
            f"{directory} is a symbolic link, and gfattach uses no place that it did not make",
            f"remove it: {command('rm', directory)}",
            code="trust.link",
        )
    if status.st_uid != os.geteuid():
        raise RefusedError(
            f"{directory} belongs to the user {name_of(status.st_uid)}, and this is {name_of(os.geteuid())}",
            f"run gfattach as that user, or have it removed: {command('ls', '-ld', directory)} shows it",
            code="trust.owner",
        )
    if stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) != PRIVATE_DIRECTORY:
        try:
            directory.chmod(PRIVATE_DIRECTORY)
        except OSError as error:
            raise storage_error("close to others", directory, error) from error
    return True
