"""What the embedded Nix binary cache serves: two paths, signed with one key, by where they are asked for.

The probe path is content-addressed and proves the transport. The other one is input-addressed: a client
takes it only with a signature that it trusts, which so proves the key. Both follow from constants: no Nix
is run, and everyone's trial serves the same paths. The input-addressed one is what `builtin:buildenv` makes
of an empty environment: a directory with one symbolic link. Any Nix can build the same and compare.
"""

from __future__ import annotations

import lzma
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.nixcache import cacheinfo, nar, narinfo, nix32, signature
from gfattach.nixcache.derivation import Derivation
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.signature import SecretKey
from gfattach.nixcache.storepath import text_address, text_path
from gfattach.nixcache.target import PROBE_CONTENT, PROBE_NAME

#: Asked before cache.nixos.org (40): the trial is nearer.
PRIORITY = 30

SIGNED = Derivation(
    name="gfattach-trial-signed-v1",
    system="builtin",
    builder="builtin:buildenv",
    environment={"derivations": "", "manifest": "/dev/null"},
)
SIGNED_TREE = nar.Directory({"manifest.nix": nar.Symlink("/dev/null")})


class Document(Struct, frozen=True):
    """What is answered for one path: the content, and its media type."""

    content: bytes
    kind: str


def documents_of(key: SecretKey) -> dict[str, Document]:
    """Everything that is served, by its path."""
    probe = NarInfo(
        store_path=text_path(PROBE_NAME, PROBE_CONTENT),
        content_address=text_address(PROBE_CONTENT),
        **_described(nar.serialise(nar.Regular(PROBE_CONTENT))),
    )
    signed = NarInfo(
        store_path=SIGNED.output_path,
        deriver=SIGNED.path,
        **_described(nar.serialise(SIGNED_TREE)),
    )
    archives: dict[NarInfo, nar.Node] = {probe: nar.Regular(PROBE_CONTENT), signed: SIGNED_TREE}
    info = cacheinfo.CacheInfo(want_mass_query=True, priority=PRIORITY)
    documents = {"/nix-cache-info": Document(cacheinfo.render(info), "text/x-nix-cache-info")}
    for described, tree in archives.items():
        signatures = (key.sign(signature.fingerprint(described)),)
        text = narinfo.render(replace(described, signatures=signatures))
        documents[f"/{described.store_path.digest}.narinfo"] = Document(text, "text/x-nix-narinfo")
        documents[f"/{described.url}"] = Document(_compressed(nar.serialise(tree)), "application/x-nix-nar")
    return documents


def _compressed(archive: bytes) -> bytes:
    # The smallest preset: the archives are tiny, and the usual one takes 94 MB of memory for any.
    return lzma.compress(archive, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=0)


def _described(archive: bytes) -> dict[str, Any]:
    """The fields of a narinfo that follow from the archive."""
    compressed = _compressed(archive)
    file_hash = nar.hash_of(compressed)
    return {
        "url": f"nar/{nix32.encode(file_hash.digest)}.nar.xz",
        "compression": "xz",
        "file_hash": file_hash,
        "file_size": len(compressed),
        "nar_hash": nar.hash_of(archive),
        "nar_size": len(archive),
    }
