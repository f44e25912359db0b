"""Files that a kubeconfig names: read to a limit, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def is_there(path: Path) -> bool:
    """Whether `path` exists, or may exist: what cannot be looked at is for the reader to complain of."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes. Raises OSError, and ValueError when it is larger.

    A pipe is refused: it would be waited for, and could not be read again by the next who asks.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.ESPIPE, "it is a pipe, which can be read only once")
        content = file.read(limit + 1) or b""
    if len(content) > limit:
        raise ValueError(f"larger than {limit // 1024} KiB")
    return content


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
