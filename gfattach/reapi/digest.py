"""Digests: SHA-256 and length, as REAPI names content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from google.protobuf.message import Message


class Digest(Struct, frozen=True):
    """`hash` is lower-case hexadecimal SHA-256, `size` the length in bytes."""

    hash: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """The digest of `content`."""
        return cls(hashlib.sha256(content).hexdigest(), len(content))

    @classmethod
    def of_message(cls, message: Message) -> Digest:
        """The digest of a message in its deterministic encoding."""
        return cls.of(message.SerializeToString(deterministic=True))

    @classmethod
    def read(cls, message: Any) -> Digest:
        """The digest that a REAPI `Digest` message holds."""
        return cls(message.hash, message.size_bytes)

    def message(self) -> Any:
        """This digest as a REAPI `Digest` message."""
        from gfattach.reapi import remote_cache_pb2 as pb

        return pb.Digest(hash=self.hash, size_bytes=self.size)
