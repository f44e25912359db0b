"""Keyrings as they are met: one that works, one that never answers, one that is locked, and worse.

They are named to gfattach's own process by PYTHON_KEYRING_BACKEND.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError


class Working(KeyringBackend):
    """Keeps its entries in the file that TEST_KEYRING names, as a real one does in its own."""

    priority = 1

    @property
    def _file(self):
        return Path(os.environ["TEST_KEYRING"])

    def _entries(self):
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def get_password(self, service, username: str):
        return self._entries().get(f"{service} {username}")

    def set_password(self, service, username: str, password: str) -> None:
        self._file.write_text(json.dumps({**self._entries(), f"{service} {username}": password}))

    def delete_password(self, service, username: str):
        entries = self._entries()
        if entries.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError("no such entry")
        self._file.write_text(json.dumps(entries))


class _Failing(KeyringBackend):
    priority = 1

    def _fail(self, *words: Sequence[str]):
        raise NotImplementedError

    def get_password(self, service, username: str) -> None:
        self._fail()

    def set_password(self, service, username: str, password: str) -> None:
        self._fail(password)

    def delete_password(self, service, username: str) -> None:
        self._fail()


class Hanging(_Failing):
    """As over a session bus whose other end has gone."""

    def _fail(self, *words: Sequence[str]) -> None:
        threading.Event().wait()


class Locked(_Failing):
    def _fail(self, *words: Sequence[str]):
        raise KeyringLocked("the collection is locked")


class Missing(_Failing):
    def _fail(self, *words: Sequence[str]):
        raise NoKeyringError("no recommended backend was available")


class Talkative(_Failing):
    """Puts what it was given to keep into its error, as a library does that shows its arguments."""

    def _fail(self, *words: Sequence[str]):
        raise RuntimeError(f"cannot store {words}")


class Printing(Working):
    """Says what it does, in Python, at the descriptor, and by a program that it starts."""

    def get_password(self, service, username: str):
        token = super().get_password(service, username)
        print(f"print: {token}")
        os.write(1, f"write: {token}\n".encode())
        subprocess.run(["echo", f"echo: {token}"], check=True)
        return token


class Forgetful(Working):
    """Takes a token and keeps nothing, as the null backend does."""

    def set_password(self, service, username: str, password: str) -> None:
        pass
