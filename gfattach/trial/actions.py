"""The action cache on disk: serialized action results by instance and action digest.

An entry's file begins with a checksum over its key and its content, so that what was cut short,
altered or put in another's place is not served.
"""

from __future__ import annotations

import hashlib
import os
import re

from gfattach.reapi.digest import Digest
from gfattach.trial.blob_store import BlobStore

KIND = "ac"

_NAME = re.compile(r"[0-9a-f]{64}")
_CHECKSUM_BYTES = hashlib.sha256().digest_size


def is_action(name: str, size: int) -> bool:
    """Whether a file of that name and size (bytes) can be an entry."""
    return _NAME.fullmatch(name) is not None and size >= _CHECKSUM_BYTES


class ActionStore:
    """The entries in `store`. Threads may share it."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def get(self, instance: str, action: Digest) -> bytes | None:
        """The entry, which counts as used just now; None when there is none that holds good."""
        key = _key(instance, action)
        entry = self._store.lookup(key)
        handle = None if entry is None else self._store.open(key, entry)
        if entry is None or handle is None:
            return None
        with os.fdopen(handle, "rb") as file:
            stored = file.read()
        content = stored[_CHECKSUM_BYTES:]
        if stored[:_CHECKSUM_BYTES] != _checksum(key, content):
            self._store.discard(key, entry)
            return None
        return content

    def put(self, instance: str, action: Digest, content: bytes) -> None:
        """Keep `content` for `action`, in the place of what was there. Raises BlobStoreError."""
        key = _key(instance, action)
        with self._store.draft(_CHECKSUM_BYTES + len(content)) as draft:
            draft.write(_checksum(key, content) + content)
            draft.admit(key)


def _key(instance: str, action: Digest) -> str:
    # An instance is a name space of its own, and its name may hold what a file's may not.
    name = hashlib.sha256(f"{instance}\n{action.hash}-{action.size}".encode()).hexdigest()
    return f"{KIND}/{name[:2]}/{name}"


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + content).digest()
