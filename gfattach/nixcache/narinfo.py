"""The narinfo: what a binary cache says of one store path.

Lines of `Name: value`. The rules are those that Nix 2.8 applies and, where Nix lets things pass
that no cache writes (a field twice, a size with zeros before it), stricter. Unknown fields are passed
over whatever they hold, as Nix does, so that newer caches can be read.
"""

from __future__ import annotations

import re

from msgspec import Struct

from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.hashes import Hash, parse_hash
from gfattach.nixcache.storepath import (
    ContentAddress,
    StorePath,
    content_addressed_path,
    parse_base_name,
    parse_content_address,
    parse_store_path,
)

#: Bytes. The largest narinfo of nixpkgs have some 10 KiB of references.
LIMIT = 1024 * 1024

#: What Nix takes for an empty or missing `Compression`.
DEFAULT_COMPRESSION = "bzip2"

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_URL = re.compile(r"[^\s\x00-\x1f\x7f]+")
_WORD = re.compile(r"[A-Za-z0-9._+-]+", re.ASCII)


class NarInfo(Struct, frozen=True):
    """One store path as a cache offers it.

    `url` is relative to the cache, or absolute; sizes are bytes; `signatures` are `name:base64`
    as they stand (`gfattach.nixcache.signature` reads them). `file_hash` and `file_size` are of the
    compressed file; some servers (Attic) leave them out.
    """

    store_path: StorePath
    url: str
    compression: str
    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...] = ()
    file_hash: Hash | None = None
    file_size: int | None = None
    deriver: StorePath | None = None
    signatures: tuple[str, ...] = ()
    content_address: ContentAddress | None = None

    @property
    def content_addressed(self) -> bool:
        """Whether its content address leads to its path: then a client takes it without a signature."""
        if self.content_address is None:
            return False
        others = [path for path in self.references if path != self.store_path]
        try:
            path = content_addressed_path(
                self.content_address,
                self.store_path.name,
                others,
                self_reference=len(others) < len(self.references),
                directory=self.store_path.directory,
            )
        except FormatError:
            return False
        return path == self.store_path


def parse(content: bytes) -> NarInfo:
    """The narinfo that `content` is. Raises FormatError, and nothing else, for anything that is none."""
    if len(content) > LIMIT:
        raise FormatError(f"a narinfo of {len(content)} bytes is larger than {LIMIT}")
    fields, signatures = _fields(content)

    def needed(name: str) -> str:
        if name not in fields:
            raise FormatError(f"the narinfo has no {name}")
        return fields[name]

    store_path = parse_store_path(needed("StorePath"))
    directory = store_path.directory
    nar_hash = parse_hash(needed("NarHash"))
    if nar_hash.algorithm != "sha256":
        raise FormatError(f"the narinfo's NarHash is {nar_hash.algorithm}, not sha256")
    nar_size = _number("NarSize", needed("NarSize"))
    if nar_size == 0:
        raise FormatError("the narinfo's NarSize is 0")
    references = tuple(parse_base_name(name, directory) for name in fields.get("References", "").split())
    if len(set(references)) != len(references):
        raise FormatError("the narinfo names a reference twice")
    deriver = fields.get("Deriver", _NO_DERIVER)
    return NarInfo(
        store_path=store_path,
        url=_matching("URL", needed("URL"), _URL),
        compression=_matching("Compression", fields.get("Compression") or DEFAULT_COMPRESSION, _WORD),
        nar_hash=nar_hash,
        nar_size=nar_size,
        references=references,
        file_hash=parse_hash(fields["FileHash"]) if "FileHash" in fields else None,
        file_size=_number("FileSize", fields["FileSize"]) if "FileSize" in fields else None,
        deriver=None if deriver == _NO_DERIVER else parse_base_name(deriver, directory),
        signatures=signatures,
        content_address=parse_content_address(fields["CA"]) if fields.get("CA") else None,
    )


#: What stands for a deriver that nobody knows.
_NO_DERIVER = "unknown-deriver"

_KNOWN = frozenset(
    {
        "StorePath",
        "URL",
        "Compression",
        "FileHash",
        "FileSize",
        "NarHash",
        "NarSize",
        "References",
        "Deriver",
        "CA",
    }
)


def _fields(content: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """The known fields by name, and the signatures. A value is all that follows `: `, spaces too."""
    if not content.endswith(b"\n"):
        raise FormatError("the narinfo does not end with a line's end: it is cut off, or no narinfo")
    fields: dict[str, str] = {}
    signatures: list[str] = []
    for number, line in enumerate(content[:-1].split(b"\n"), start=1):
        written, _, rest = line.partition(b":")
        name = written.decode("latin-1")
        known = name in _KNOWN or name == "Sig"
        # Nix passes over the character behind the colon unseen: where there is none, over the next line.
        if not rest or (known and not rest.startswith(b" ")):
            raise FormatError(f"line {number} of the narinfo is not of the form Name: value")
        if not known:
            continue
        try:
            value = rest[1:].decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"line {number} of the narinfo is not UTF-8 text") from error
        if re.search(r"[\x00-\x1f\x7f]", value):
            raise FormatError(f"line {number} of the narinfo holds a control character")
        if name == "Sig":
            signatures.append(value)
        elif name in fields:
            raise FormatError(f"the narinfo has {name} twice")
        else:
            fields[name] = value
    return fields, tuple(signatures)


def _number(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value) or int(value) >= 2**63:
        raise FormatError(f"the narinfo's {name} is {value[:40]!r}, not a number of bytes")
    return int(value)


def _matching(name: str, value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise FormatError(f"the narinfo's {name} is {value[:100]!r}")
    return value


def render(info: NarInfo) -> bytes:
    """`info` as a cache serves it: what `parse` reads back as the same."""
    lines = [
        ("StorePath", str(info.store_path)),
        ("URL", info.url),
        ("Compression", info.compression),
    ]
    if info.file_hash is not None:
        lines.append(("FileHash", info.file_hash.nix32))
    if info.file_size is not None:
        lines.append(("FileSize", str(info.file_size)))
    lines += [
        ("NarHash", info.nar_hash.nix32),
        ("NarSize", str(info.nar_size)),
        ("References", " ".join(path.base_name for path in info.references)),
    ]
    if info.deriver is not None:
        lines.append(("Deriver", info.deriver.base_name))
    lines += [("Sig", signature) for signature in info.signatures]
    if info.content_address is not None:
        lines.append(("CA", str(info.content_address)))
    return "".join(f"{name}: {value}\n" for name, value in lines).encode()
