"""Which Content-Encodings a Nix undoes, whatever it was asked for: measured with 2.8.0, 2.26.3 and 2.34.8.

A version between two that were measured is taken for the earlier one.
`tests/integration/test_nix_encodings.py` holds the table to the Nixes at hand.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

_NONE = frozenset({"", "none"})


class Undoes(Struct, frozen=True):
    """What one version undoes: of documents (info, narinfo) and of NARs, which are compressed themselves.

    `folded` says that names may be in capitals, and more than one in a list.
    """

    documents: frozenset[str]
    nars: frozenset[str]
    folded: bool = False


_CURL = frozenset({"gzip", "x-gzip", "br", "zstd", "deflate", "identity"})
_LIBARCHIVE = frozenset({"gzip", "br", "zstd", "bzip2"})

#: By the first version of which it holds. 2.8 looks at the content and not at the name, and so undoes both
#: layers of a compressed NAR at once and then finds it damaged; 2.34 leaves it to curl.
_VERSIONS: Mapping[tuple[int, int], Undoes] = {
    (0, 0): Undoes(
        frozenset({"gzip", "x-gzip", "br", "zstd", "xz", "bzip2"}), frozenset({"br"}), folded=True
    ),
    (2, 26): Undoes(_LIBARCHIVE | {"xz"}, _LIBARCHIVE),
    (2, 34): Undoes(_CURL, _CURL, folded=True),
}


def undone(version: tuple[int, int], encoding: str, *, nar: bool) -> bool:
    """Whether a Nix of this version (major, minor) undoes `encoding`, as a server writes it; "" is none."""
    row = _VERSIONS[max(first for first in _VERSIONS if first <= version)]
    known = (row.nars if nar else row.documents) | _NONE
    names = [name.strip().lower() for name in encoding.split(",")] if row.folded else [encoding]
    return all(name in known for name in names)
