"""Which host's token is in which store, and what it says of itself: a note without secrets.

It lets `get` load one store only (a keyring costs many times what the rest does, and to find out which one
there is as much again), and `status` list what there is, which no keyring can.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gfattach.core import files
from gfattach.credential.file_store import credential_directory
from gfattach.credential.jwt import Claims
from gfattach.credential.scope import PLAINTEXT, Scope
from gfattach.credential.store import STORES

SCHEMA = "gfattach.credentials/1"


class Entry(Struct, frozen=True):
    """A stored token without the token. `claims` is None for one that is no JWT; `backend` is the store's."""

    host: str
    store: str
    claims: Claims | None = None
    backend: str = ""
    scope: Scope = field(default_factory=Scope)


def path() -> Path:
    """Where the note is."""
    return credential_directory() / "index.json"


def entries() -> dict[str, Entry]:
    """What is noted, by host. A note that nobody can make sense of counts as none. Raises StorageError."""
    document = files.read_json(path())
    hosts = document.get("hosts") if isinstance(document, dict) else None
    if not isinstance(hosts, dict):
        return {}
    return {host: entry for host, note in hosts.items() if (entry := _entry(host, note)) is not None}


def put(entry: Entry) -> None:
    """Note `entry`, in place of an earlier one for its host. Raises StorageError."""
    with _changed() as noted:
        noted[entry.host] = entry


def forget(host: str) -> bool:
    """Take the note on `host` away; whether there was one. Raises StorageError."""
    if host not in entries():
        return False
    with _changed() as noted:
        noted.pop(host, None)
    return True


@contextmanager
def _changed() -> Iterator[dict[str, Entry]]:
    directory = files.make_private_directory(credential_directory())
    with files.locked(directory / "lock"):
        noted = entries()
        yield noted
        hosts = {host: _note(entry) for host, entry in sorted(noted.items())}
        files.write_json(path(), {"schema": SCHEMA, "hosts": hosts})


def _note(entry: Entry) -> dict[str, Any]:
    claims = None if entry.claims is None else entry.claims.as_json()
    scope = {"scheme": entry.scope.scheme, "port": entry.scope.port}
    return {"store": entry.store, "backend": entry.backend, "claims": claims, "scope": scope}


def _entry(host: str, note: Any) -> Entry | None:
    """The note on `host`; None for one that names no store."""
    if not isinstance(note, dict) or note.get("store") not in STORES:
        return None
    backend = note.get("backend")
    named = backend if isinstance(backend, str) else ""
    return Entry(host, note["store"], Claims.from_json(note.get("claims")), named, _scope(note.get("scope")))


def _scope(said: Any) -> Scope:
    """What was noted of a token's scope; one of an earlier version has none, which stands for TLS."""
    if not isinstance(said, dict):
        return Scope()
    scheme, port = said.get("scheme"), said.get("port")
    plain = scheme if scheme in PLAINTEXT else ""
    return Scope(plain, port if isinstance(port, int) and 0 < port < 65536 else None)
