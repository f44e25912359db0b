"""A secret of this user's on this machine: what is derived from it no other user can compute.

`key` in the user's state directory, 32 random bytes, 0600, made when it is first needed and kept: what was
derived once is derived again.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from pathlib import Path

from gfattach.core import files

_BYTES = 32


def derived(state: Path, purpose: str) -> bytes:
    """32 bytes for `purpose`, the same each time (HMAC-SHA-256, RFC 2104). `state` is the user's state
    directory.

    Raises StorageError.
    """
    return hmac.new(_key(state / "key"), purpose.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()


def kept(state: Path) -> Path | None:
    """Where the secret is; None where nothing was derived yet."""
    path = state / "key"
    return path if path.exists() else None


def _key(path: Path) -> bytes:
    for _ in range(3):
        content = files.read_bytes(path)
        if content is not None and len(content) == _BYTES:
            return content
        if content is not None:
            files.remove(path)  # cut short: nothing can be derived from it
        _make(path)
    raise files.storage_error("make the key", path, OSError(None, "it does not stay"))


def _make(path: Path) -> None:
    files.make_private_directory(path.parent)
    made = path.with_name(f".key.{os.urandom(6).hex()}.new")
    files.write_atomic(made, os.urandom(_BYTES))
    try:
        with contextlib.suppress(FileExistsError):  # another process was first: its key counts
            os.link(made, path)
    except OSError as error:
        raise files.storage_error("make the key", path, error) from error
    finally:
        files.remove(made)
