"""Tokens in a file, for machines without a keyring: chosen by name, never fallen back to.

One JSON object, host to token, 0600 in a directory that is 0700, below the user's state directory. It is
as safe as the account: root, and whoever can read the disk or a backup of it, can read it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gfattach.core import files
from gfattach.core.errors import CredentialError
from gfattach.core.paths import state_directory
from gfattach.core.quote import word


def credential_directory() -> Path:
    """The directory of what is kept of tokens."""
    return state_directory() / "credentials"


class FileStore:
    """The file of tokens. A file that others may read, or that is another's, is not used."""

    backend = ""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or credential_directory() / "tokens.json"

    @property
    def where(self) -> str:
        """`the file /x`."""
        return f"the file {self.path}"

    def save(self, host: str, token: str) -> None:
        """Keep `token` for `host`. Raises CredentialError and StorageError."""
        directory = files.make_private_directory(self.path.parent)
        directory.chmod(files.PRIVATE_DIRECTORY)
        with files.locked(directory / "lock"):
            files.write_json(self.path, {**self._read(), host: token})

    def load(self, host: str) -> str | None:
        """The token for `host`; None when there is none. Raises CredentialError and StorageError."""
        return self._read().get(host)

    def delete(self, host: str) -> bool:
        """Forget the token for `host`; the file goes with its last one."""
        if not self.path.exists():
            return False
        with files.locked(self.path.parent / "lock"):
            tokens = self._read()
            if tokens.pop(host, None) is None:
                return False
            if tokens:
                files.write_json(self.path, tokens)
            else:
                files.remove(self.path)
        return True

    def _read(self) -> dict[str, str]:
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise files.storage_error("read", self.path, error) from error
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise CredentialError(
                f"{self.path} holds tokens and others may read or write it",
                f"close it: chmod 600 {word(self.path)}",
                "and replace the tokens, if anybody could have read them: gfattach credential status",
                code="credential.file.open",
            )
        document = files.read_json(self.path)
        if document is None:
            return {}
        if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
            raise CredentialError(
                f"{self.path} is not a file of tokens",
                f"remove it, and store them again: rm {word(self.path)}",
                code="credential.file.format",
            )
        return document
