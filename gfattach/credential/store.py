"""What keeps tokens: the interface, and the stores by name."""

from __future__ import annotations

from typing import Protocol

from gfattach.core.errors import CredentialError

#: The stores by name, the one that is used unless another is asked for first.
STORES = ("keyring", "file")


class TokenStore(Protocol):
    """Keeps one token for each host. Every method raises CredentialError or StorageError, and none hangs."""

    backend: str
    """What is noted, so that the store need not be looked for the next time; "" for nothing."""

    @property
    def where(self) -> str:
        """Where tokens are kept, for people: `the keyring (SecretService)`, `the file /x`."""

    def save(self, host: str, token: str) -> None:
        """Keep `token` for `host`, in place of an earlier one."""

    def load(self, host: str) -> str | None:
        """The token for `host`; None when there is none."""

    def delete(self, host: str) -> bool:
        """Forget the token for `host`; whether there was one."""


def open_store(name: str, backend: str = "") -> TokenStore:
    """The store `name`, with what was noted of its `backend`; only its own modules are loaded.

    Raises CredentialError for a name that is none.
    """
    if name == "file":
        from gfattach.credential.file_store import FileStore

        return FileStore()
    if name == "keyring":
        from gfattach.credential.keyring_store import KeyringStore

        return KeyringStore(backend)
    raise CredentialError(
        f"there is no store {name!r}", f"there are: {', '.join(STORES)}", code="credential.store"
    )
