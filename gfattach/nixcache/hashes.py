"""Hashes as Nix writes them: `sha256:` and base 32, base 16 or base 64, or the SRI form."""

from __future__ import annotations

import base64
import binascii

from msgspec import Struct

from gfattach.nixcache import nix32
from gfattach.nixcache.errors import FormatError

#: Digest sizes in bytes.
SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}


class Hash(Struct, frozen=True):
    """`digest` is raw bytes, of the size that `algorithm` makes."""

    algorithm: str
    digest: bytes

    @property
    def nix32(self) -> str:
        """`sha256:` and the digest in base 32, as narinfo and signatures have it."""
        return f"{self.algorithm}:{nix32.encode(self.digest)}"

    @property
    def hex(self) -> str:
        """The digest alone, in base 16."""
        return self.digest.hex()

    def __str__(self) -> str:
        return self.nix32


def parse_hash(text: str) -> Hash:
    """The hash that `text` names: `ALGORITHM:DIGEST`, or `ALGORITHM-BASE64` (SRI). Raises FormatError."""
    for separator in (":", "-"):
        algorithm, found, digest = text.partition(separator)
        if found and algorithm in SIZES:
            return Hash(algorithm, _digest(digest, SIZES[algorithm], sri=separator == "-"))
    raise FormatError(
        f"{text[:100]!r} is no hash: it begins with none of {', '.join(f'{a}:' for a in SIZES)}"
    )


def _digest(text: str, size: int, *, sri: bool) -> bytes:
    if not sri and len(text) == nix32.encoded_length(size):
        return nix32.decode(text)
    try:
        if not sri and len(text) == size * 2:
            return bytes.fromhex(text)
        if len(text) == (size + 2) // 3 * 4:
            return _sized(base64.b64decode(text, validate=True), size)
    except (ValueError, binascii.Error) as error:
        raise FormatError(f"{text[:100]!r} is no digest: {error}") from error
    raise FormatError(f"{text[:100]!r} is no digest of {size} bytes: it has {len(text)} characters")


def _sized(digest: bytes, size: int) -> bytes:
    if len(digest) != size:
        raise ValueError(f"it holds {len(digest)} bytes")
    return digest
