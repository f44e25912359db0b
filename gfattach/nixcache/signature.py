"""Signatures of store paths: ed25519 over a fingerprint, `name:base64`.

The fingerprint is `1;PATH;NAR-HASH;NAR-SIZE;REFERENCES`: it covers neither the URL nor the
compressed file, so the NAR that was fetched has to be hashed. References are full paths in the
order of their names, whatever order the narinfo has them in: Nix keeps them as a sorted set.
"""

from __future__ import annotations

import base64
import re
from typing import ClassVar

from msgspec import Struct

from gfattach.core.value import Redacted
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.narinfo import NarInfo

_SEED, _PUBLIC, _SIGNATURE = 32, 32, 64


class PublicKey(Struct, frozen=True):
    """`raw` is the 32 bytes of ed25519; `name` is what a signature is matched by."""

    name: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.name}:{base64.b64encode(self.raw).decode()}"


class SecretKey(Redacted, frozen=True):
    """`seed` is the 32 bytes that the key pair follows from. Never shown."""

    REDACTED: ClassVar = frozenset({"seed"})

    name: str
    seed: bytes

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this one signs."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return PublicKey(
            self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        )

    def text(self) -> str:
        """`name:base64` of the seed and the public key, as Nix keeps it in a file. A secret."""
        return f"{self.name}:{base64.b64encode(self.seed + self.public_key.raw).decode()}"

    def sign(self, message: bytes) -> str:
        """The signature of `message`, as the value of a `Sig` field."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)
        return f"{self.name}:{base64.b64encode(signature).decode()}"


class Signature(Struct, frozen=True):
    """`raw` is the 64 bytes of ed25519; `name` is that of the key that made it."""

    name: str
    raw: bytes


def generate_secret_key(name: str) -> SecretKey:
    """A new key. Raises FormatError for a name that cannot stand before a colon."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SecretKey(_name(name), Ed25519PrivateKey.generate().private_bytes_raw())


def parse_public_key(text: str) -> PublicKey:
    """The key that `name:base64` is. Raises FormatError."""
    return PublicKey(*_named_bytes(text, _PUBLIC, "public key", text))


def parse_secret_key(text: str) -> SecretKey:
    """The key in a file that Nix wrote. Raises FormatError, which never holds any of it."""
    name, raw = _named_bytes(text.strip(), _SEED + _PUBLIC, "secret key", "the text")
    key = SecretKey(name, raw[:_SEED])
    if key.public_key.raw != raw[_SEED:]:
        raise FormatError("the text is no secret key: its two halves do not belong together")
    return key


def parse_signature(text: str) -> Signature:
    """The signature that the value of a `Sig` field is. Raises FormatError."""
    return Signature(*_named_bytes(text, _SIGNATURE, "signature", text))


def is_readable(text: str) -> bool:
    """Whether every Nix reads the value of a `Sig` field to its end: a name and base 64, of whatever length.

    From 2.34 on (measured) one that is not ends the narinfo, whoever's name it bears.
    """
    name, _, encoded = text.partition(":")
    return bool(name) and re.fullmatch(r"[A-Za-z0-9+/]+=*", encoded, re.ASCII) is not None


def _named_bytes(text: str, size: int, what: str, shown: str) -> tuple[str, bytes]:
    name, colon, encoded = text.partition(":")
    shown = repr(shown[:120]) if shown == text else shown
    if not colon:
        raise FormatError(f"{shown} is no {what}: it has no colon")
    digits = encoded.rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9+/]*", digits, re.ASCII):
        raise FormatError(f"{shown} is no {what}: what follows the colon is not base 64")
    # Nix reads up to the first `=`, and needs none: what was copied without it works.
    raw = base64.b64decode(digits + "A" * (-len(digits) % 4))[: len(digits) * 6 // 8]
    if len(raw) != size:
        raise FormatError(f"{shown} is no {what}: it holds {len(raw)} bytes, not {size}")
    return _name(name), raw


def _name(name: str) -> str:
    if not re.fullmatch(r"[^:\s\x00-\x1f\x7f]+", name):
        raise FormatError(f"{name[:80]!r} is not the name of a key")
    return name


def fingerprint(info: NarInfo) -> bytes:
    """What a signature of `info` signs."""
    references = ",".join(str(path) for path in sorted(info.references))
    return f"1;{info.store_path};{info.nar_hash.nix32};{info.nar_size};{references}".encode()


def verify(key: PublicKey, message: bytes, signature: Signature) -> bool:
    """Whether the holder of `key` made `signature` of `message`. Names are the caller's business."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature.raw, message)
    except (InvalidSignature, ValueError):
        return False
    return True
