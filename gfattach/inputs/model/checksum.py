"""A checksum of content: hex or Subresource Integrity (W3C SRI), compared as bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from gfattach.core.errors import UsageError

if TYPE_CHECKING:
    from hashlib import _Hash

#: What Bazel's rules take, and the bytes that each has.
ALGORITHMS = {"sha256": 32, "sha384": 48, "sha512": 64}

_BY_LENGTH = {2 * size: algorithm for algorithm, size in ALGORITHMS.items()}


class Checksum(Struct, frozen=True, order=True):
    """`algorithm` is one of ALGORITHMS; `digest` its bytes."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """From hex digits, or from `ALGORITHM-BASE64`. Raises UsageError (`inputs.checksum`)."""
        said = text.strip()
        algorithm, dash, value = said.partition("-")
        try:
            if dash and algorithm in ALGORITHMS:
                # What follows a `?` are options, which SRI reserves; of several the first counts in Bazel.
                digest = base64.b64decode(value.split("?")[0], validate=True)
            else:
                algorithm, digest = _BY_LENGTH.get(len(said), ""), bytes.fromhex(said)
        except (ValueError, binascii.Error):
            algorithm, digest = "", b""
        if len(digest) != ALGORITHMS.get(algorithm):
            raise UsageError(
                f"{said[:80]!r} is no checksum that Bazel takes",
                "write sha256 as 64 hex digits, or sha256, sha384 or sha512 as integrity: sha256-BASE64",
                code="inputs.checksum",
            )
        return cls(algorithm, digest)

    @property
    def hex(self) -> str:
        """The digest in hex."""
        return self.digest.hex()

    @property
    def sri(self) -> str:
        """As integrity: `sha256-BASE64`."""
        return f"{self.algorithm}-{base64.b64encode(self.digest).decode()}"

    def hasher(self) -> _Hash:
        """A new hash of this algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def __str__(self) -> str:
        return self.sri
