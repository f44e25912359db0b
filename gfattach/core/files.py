"""Files that gfattach writes: atomic, private, and with errors a person can act on.

Everything is written to a temporary file in the same directory, flushed, and renamed
into place, so that a reader, or a machine that loses power, sees the old content or the
new one. Files are 0600 and directories 0700 whatever the umask is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gfattach.core.deadline import Deadline
from gfattach.core.errors import StorageError

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_REMEDY = {
    errno.ENOSPC: "free some space there, and run it again",
    errno.EDQUOT: "the quota is used up: free some space there, and run it again",
    errno.EROFS: "the file system is read-only: name another place with --workspace, or with an XDG variable",
    errno.EACCES: "this user may not write there: check the owner and mode of the directory",
    errno.EPERM: "this user may not write there: check the owner and mode of the directory",
    errno.ENAMETOOLONG: "the path is too long: use a workspace or XDG directory with a shorter one",
}


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """The typed error for an `OSError` that befell `action` on `path`."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    remedy = _REMEDY.get(error.errno or 0)
    return StorageError(f"cannot {action} {path}: {reason}", *([remedy] if remedy else []))


def make_private_directory(path: Path) -> Path:
    """Make `path` (and what is missing above it) 0700; an existing directory keeps its mode.

    Raises StorageError.
    """
    try:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=PRIVATE_DIRECTORY)
            directory.chmod(PRIVATE_DIRECTORY)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        raise storage_error("make the directory", path, error) from error
    return path


def write_atomic(
    path: Path,
    content: bytes,
    mode: int = PRIVATE_FILE,
    owner: tuple[int, int] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Put `content` at `path`, whole or not at all, for `owner` (user and group number) if one is given.

    What is not `durable` may be gone or empty when the machine loses power: for what is of no use after that.
    Raises StorageError; nothing is left over then, and what was at `path` is as it was.
    """
    # `tempfile` takes longer to load than a file takes to write.
    temporary = path.with_name(f".{path.name[:40]}.{os.urandom(6).hex()}.new")
    left = False
    try:
        handle = os.open(temporary, _NEW_FILE, PRIVATE_FILE)
        left = True
        with os.fdopen(handle, "wb") as file:
            # Asked of the file: a directory may hand its own group to what is made in it.
            made = os.fstat(file.fileno())
            if owner is not None and owner != (made.st_uid, made.st_gid):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
        left = False
        if durable:
            _sync_directory(path.parent)
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        if left:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_json(path: Path, document: Any, *, durable: bool = True) -> None:
    """Write `document` as indented JSON, as `write_atomic` does. Raises StorageError."""
    write_atomic(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode(), durable=durable)


def read_bytes(path: Path) -> bytes | None:
    """The content of `path`; None when there is no such file. Never waits for what somebody may write.

    Raises StorageError, for a pipe or a device too.
    """
    try:
        # Opened without waiting: a pipe has a reader wait for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            mode = os.fstat(handle).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or path.samefile(os.devnull)):
                raise StorageError(
                    f"cannot read {path}: it is a pipe or a device, and no file",
                    f"look at it: ls -l {shlex.quote(str(path))}",
                )
            with open(handle, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error("read", path, error) from error


def read_json(path: Path) -> Any | None:
    """The JSON document at `path`; None when there is no such file. Raises StorageError."""
    content = read_bytes(path)
    if content is None:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{path} is not JSON: {error}", f"remove it: rm {shlex.quote(str(path))}", code="storage.json"
        ) from error


def remove(path: Path) -> bool:
    """Remove a file; whether there was one. Raises StorageError."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise storage_error("remove", path, error) from error
    return True


def remove_tree(directory: Path) -> None:
    """Remove a directory with what it holds, read-only directories too. Raises StorageError."""
    import shutil

    try:
        for place, names, _ in os.walk(directory):
            for name in names:
                path = Path(place, name)
                if stat.S_ISDIR(path.lstat().st_mode):
                    path.chmod(PRIVATE_DIRECTORY)
        if directory.exists():
            shutil.rmtree(directory)
    except OSError as error:
        raise storage_error("remove", directory, error) from error


@contextlib.contextmanager
def locked(path: Path, seconds: float = 10.0) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (made if missing), so that two commands take turns.

    Who holds it writes its process number into it. Raises StorageError (`storage.locked`), which names that
    process, when it is not free within `seconds`, and StorageError for what cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise storage_error("lock", path, error) from error
    try:
        deadline = Deadline.after(seconds)
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline.expired:
                    raise _held_by_another(handle, path) from None
                time.sleep(0.05)
        with contextlib.suppress(OSError):  # a full disk keeps nobody from taking turns
            os.ftruncate(handle, 0)
            os.pwrite(handle, b"%d" % os.getpid(), 0)
        yield
    finally:
        os.close(handle)


def _held_by_another(handle: int, path: Path) -> StorageError:
    """The error for a lock that is not free: the process that has it, as far as it can be told."""
    from gfattach.core.process import command_of

    said = os.pread(handle, 20, 0)
    pid = int(said) if said.isdigit() else 0
    command = command_of(pid) if pid else ""
    if not command:
        hint = "wait for it to end, and run it again"
        return StorageError(f"another gfattach holds {path}", hint, code="storage.locked")
    return StorageError(
        f"another gfattach, process {pid} ({command}), holds {path}",
        f"wait for it to end, and run it again; see how it is: ps -o pid,stat,etime,cmd -p {pid}",
        code="storage.locked",
    )


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a directory
            os.fsync(handle)
    finally:
        os.close(handle)
