"""Content-addressed storage: blobs by SHA-256 digest, in a blob store.

A blob is hashed while it is written, and kept only if hash and size are what its digest says.
One that an earlier process left is hashed again before anything is said of it: nothing is
called present, and nothing is served, that this process has not hashed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from typing import BinaryIO

from gfattach.reapi.digest import Digest
from gfattach.trial.blob_store import BlobStore, Entry

KIND = "cas"

_CHUNK_BYTES = 1024 * 1024
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"([0-9a-f]{64})-(0|[1-9][0-9]{0,18})")


class DigestError(ValueError):
    """A digest that cannot be one, or content that is not what its digest says."""


#: Clients take the empty blob to be everywhere, and do not upload it.
EMPTY = Digest.of(b"")


def checked(digest: Digest) -> Digest:
    """`digest`, if there can be a blob of it. Raises DigestError."""
    if not _HASH.fullmatch(digest.hash):
        raise DigestError("the hash is not 64 lower-case hex digits")
    if not 0 <= digest.size < 2**63:
        raise DigestError(f"the size {digest.size} is out of range")
    return digest


def is_blob(name: str, size: int) -> bool:
    """Whether a file of that name and size (bytes) can be a blob."""
    match = _NAME.fullmatch(name)
    return match is not None and int(match[2]) == size


class ContentStore:
    """The blobs in `store`. Threads may share it."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here; it counts as used just now."""
        return digest == EMPTY or self._find(digest) is not None

    def open(self, digest: Digest) -> BinaryIO | None:
        """The blob, for reading; None when it is not here. It may be given up while it is read."""
        if digest == EMPTY:
            return open(os.devnull, "rb")  # noqa: PTH123 - the caller closes it
        entry = self._find(digest)
        handle = None if entry is None else self._store.open(_key(digest), entry)
        return None if handle is None else os.fdopen(handle, "rb", buffering=0)

    def read(self, digest: Digest) -> bytes | None:
        """The content of the blob; None when it is not here."""
        file = self.open(digest)
        if file is None:
            return None
        with file:
            return file.read()

    def put(self, digest: Digest, chunks: Iterable[bytes]) -> None:
        """Keep the content that `chunks` make up.

        Raises DigestError when it is not what `digest` says, BlobStoreError when it cannot be kept, and
        what `chunks` raises. Nothing is left over then.
        """
        checked(digest)
        if digest == EMPTY:
            for chunk in chunks:
                _refuse_beyond(digest, len(chunk))
            return
        hasher, received = hashlib.sha256(), 0
        with self._store.draft(digest.size) as draft:
            for chunk in chunks:
                received += len(chunk)
                _refuse_beyond(digest, received)
                hasher.update(chunk)
                draft.write(chunk)
            if received != digest.size:
                raise DigestError(f"{received} bytes came for a blob of {digest.size}")
            if hasher.hexdigest() != digest.hash:
                raise DigestError(f"the content hashes to {hasher.hexdigest()}, not to {digest.hash}")
            draft.admit(_key(digest))

    def _find(self, digest: Digest) -> Entry | None:
        key = _key(digest)
        entry = self._store.lookup(key)
        if entry is None or entry.checked:
            return entry
        handle = self._store.open(key, entry)
        if handle is None:
            return None
        with os.fdopen(handle, "rb", buffering=0) as file:
            good = _hash(file) == digest.hash
        if not good:
            self._store.discard(key, entry)
            return None
        entry.checked = True
        return entry


def _key(digest: Digest) -> str:
    return f"{KIND}/{digest.hash[:2]}/{digest.hash}-{digest.size}"


def _refuse_beyond(digest: Digest, received: int) -> None:
    if received > digest.size:
        raise DigestError(f"more than {digest.size} bytes came for a blob of {digest.size}")


def _hash(file: BinaryIO) -> str:
    hasher = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        hasher.update(chunk)
    return hasher.hexdigest()
