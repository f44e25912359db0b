"""The agent's log: two files of at most 1 MiB each, 0600, that hold no secret.

Standard error goes to the same file, so that a traceback ends up there too.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from gfattach.agent.model.state import log_file
from gfattach.core import files
from gfattach.core.redact import redact

LOG = logging.getLogger("gfattach.agent")

#: Bytes after which the file becomes the older one, and a new one is begun.
LOG_BYTES = 1024 * 1024

#: Characters of one entry.
_ENTRY_LIMIT = 4000

LEVELS = ("debug", "info", "warning", "error")


def log_to(directory: Path) -> None:
    """Log to the file of `directory` from now on. Raises StorageError."""
    handler = BoundedFile(log_file(directory), LOG_BYTES)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


def set_level(name: str) -> None:
    """Log from the level `name` (one of `LEVELS`) on."""
    logging.getLogger().setLevel(name.upper())


def level() -> str:
    """The level from which entries are logged."""
    return logging.getLevelName(logging.getLogger().level).lower()


class BoundedFile(logging.Handler):
    """Appends to `path`, and to a new file when that is as large as `limit` bytes."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__()
        self._path = path
        self._limit = limit
        self._size = 0
        try:
            self._open()
        except OSError as error:
            raise files.storage_error("write", path, error) from error

    def emit(self, record: logging.LogRecord) -> None:
        """Write one entry; a disk that is full must not end what is logged about."""
        try:
            entry = redact(self.format(record))[:_ENTRY_LIMIT].encode("utf-8", "backslashreplace") + b"\n"
            if self._size + len(entry) > self._limit:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._open()
            self._size += os.write(2, entry)
        except OSError:
            pass

    def _open(self) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, files.PRIVATE_FILE)
        os.fchmod(handle, files.PRIVATE_FILE)
        self._size = os.fstat(handle).st_size
        os.dup2(handle, 2)
        os.close(handle)
