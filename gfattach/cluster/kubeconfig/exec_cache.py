"""What exec plugins handed out, used again until shortly before it expires.

Within this process it is held in memory; for the next command it goes into a private file, where the user
has a directory that is itself in memory (XDG_RUNTIME_DIR), or else with the rest of gfattach's state.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from gfattach.core.errors import GfattachError
from gfattach.core.files import make_private_directory, remove, write_atomic
from gfattach.core.paths import own_runtime_directory, state_directory
from gfattach.core.trust import ownership
from gfattach.core.value import Redacted

#: What a plugin hands out is not used in its last minute: it has to hold for a while yet.
MARGIN = timedelta(seconds=60)

#: A credential is a token or a certificate with its key: one that is larger is none.
ANSWER_BYTES = 1024 * 1024

_held: dict[str, ExecCredential] = {}
_lock = threading.Lock()


class ExecCredential(Redacted, frozen=True):
    """What a plugin handed out; `expires` None when it did not say, `kept` where it was handed out
    earlier.
    """

    REDACTED: ClassVar = frozenset({"token", "certificate", "key"})

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    expires: datetime | None = None
    kept: bool = False

    def as_json(self) -> dict[str, Any]:
        """For a private file, and for the agent's socket: it holds the secret."""
        return {
            "token": self.token,
            "certificate": self.certificate.decode(),
            "key": self.key.decode(),
            "expires": None if self.expires is None else self.expires.isoformat(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ExecCredential:
        """The reverse of `as_json`. Raises KeyError, TypeError, AttributeError and ValueError for what is
        none.
        """
        expires = document["expires"]
        return cls(
            str(document["token"]),
            document["certificate"].encode(),
            document["key"].encode(),
            None if expires is None else moment(expires),
        )

    @property
    def fresh(self) -> bool:
        """Whether it holds for longer than the margin."""
        return self.expires is None or self.expires > datetime.now(UTC) + MARGIN


def find(key: str, environ: Mapping[str, str]) -> ExecCredential | None:
    """What is kept under `key` and holds for a while yet."""
    with _lock:
        held = _held.get(key)
        if held is None or not held.fresh:
            held = _load(_file(key, environ))
    return held if held is not None and held.fresh else None


def keep(key: str, exec_credential: ExecCredential, environ: Mapping[str, str]) -> None:
    """Keep a credential under `key`, in a file only if it says how long it holds."""
    with _lock:
        _held[key] = exec_credential
        _save(_file(key, environ), exec_credential)


def moment(text: str) -> datetime:
    """A time of RFC 3339. Raises ValueError for what is none."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("without a zone")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("before the first year, or after the last") from error


def drop_all(environ: Mapping[str, str]) -> int:
    """Drop what is kept, in memory and in files; how many files there were. Raises StorageError."""
    with _lock:
        _held.clear()
        directory = _directory(environ)
        count = sum(map(remove, directory.glob("*.json")))
        with contextlib.suppress(OSError):  # there is none, or something else in it
            directory.rmdir()
            directory.parent.rmdir()
        return count


def _directory(environ: Mapping[str, str]) -> Path:
    """Where credentials are kept for the next command: in memory, where the user has such a directory."""
    return (own_runtime_directory(environ) or state_directory()) / "cluster-credentials"


def _file(key: str, environ: Mapping[str, str]) -> Path:
    return _directory(environ) / f"{key[:32]}.json"


def _load(file: Path) -> ExecCredential | None:
    """A kept credential; None unless this user alone can have written and read it."""
    try:
        if ownership.private(file.parent) or file.is_symlink():
            return None
        with file.open("rb") as opened:
            known = os.fstat(opened.fileno())
            if known.st_uid != os.geteuid() or stat.S_IMODE(known.st_mode) & 0o077:
                return None
            kept = json.loads(opened.read(2 * ANSWER_BYTES))
        return ExecCredential.from_json(kept)
    except (GfattachError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _save(file: Path, exec_credential: ExecCredential) -> None:
    """Keep a credential that says how long it holds. One that cannot be kept is asked for again."""
    if exec_credential.expires is None or not exec_credential.fresh:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
        return
    with contextlib.suppress(GfattachError):
        ownership.claim(file.parent)
        make_private_directory(file.parent)
        write_atomic(file, json.dumps(exec_credential.as_json()).encode())
