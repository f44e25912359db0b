"""An input: one file, or one repository, that a workspace needs from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from gfattach.core.redact import MASK, redact
from gfattach.inputs.model.checksum import Checksum


class Kind(Enum):
    """How an input comes in, which decides by what it can be covered."""

    ARCHIVE = "archive"
    REGISTRY = "registry-file"
    GIT = "git"
    UNHASHED = "unhashed"
    OWN = "own-downloader"


#: Why a distdir cannot hold what is of a kind, and what to do about it.
UNCOVERABLE: Mapping[Kind, tuple[str, str]] = {
    Kind.REGISTRY: (
        "Bazel never takes registry files from a distdir",
        "fetch it into a repository cache (with a lock file), or use a registry of files: "
        "--registry=file:///DIRECTORY",
    ),
    Kind.GIT: (
        "git is neither in a distdir nor in a repository cache",
        "use an archive of the commit, with its sha256",
    ),
    Kind.UNHASHED: (
        "without a checksum Bazel looks at no distdir and no repository cache",
        "give the rule a sha256 or an integrity",
    ),
    Kind.OWN: (
        "the rule runs a downloader of its own, which Bazel does not see",
        "vendor what it fetches, or inject the repository: GF_BAZEL_INJECT_REPOSITORIES",
    ),
}

_TAG_ARCHIVE = re.compile(
    r"/archive/(refs/tags/)?[^/]+\.(tar\.gz|tgz|zip)$|/-/archive/|/get/[^/]+\.(tar\.gz|zip)$"
)


class Input(Struct, frozen=True):
    """`name` is the repository's, and what of it in parentheses where it has several files.

    `urls` are in the order in which Bazel tries them and hold no credential; `files` are the names under
    which Bazel looks for it in a distdir, the first one first; `size` is in bytes, None for unknown;
    `targets` and `platforms` are where it was seen to be needed; `sources` say who named it.
    """

    name: str
    kind: Kind
    urls: tuple[str, ...] = ()
    checksum: Checksum | None = None
    size: int | None = None
    files: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def by_distdir(self) -> bool:
        """Whether a distdir can cover it."""
        return self.kind is Kind.ARCHIVE and self.checksum is not None and bool(self.files)

    @property
    def by_repository_cache(self) -> bool:
        """Whether a repository cache can."""
        return self.checksum is not None and self.kind in (Kind.ARCHIVE, Kind.REGISTRY)

    @property
    def generated(self) -> bool:
        """Whether its URL names an archive that a forge makes of a tag, whose bytes nobody promises."""
        return any(_TAG_ARCHIVE.search(urlsplit(url).path) for url in self.urls)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two mentions the same input: the repository, and the checksum or else the URLs."""
        if self.kind in (Kind.GIT, Kind.OWN):
            return (self.repository, self.kind)
        if self.kind is Kind.REGISTRY:  # the lock file and the registry's own words give it two names
            return (self.kind, self.checksum)
        return (self.repository, self.checksum or self.urls)

    @property
    def repository(self) -> str:
        """The repository that it is of, or is."""
        return self.name.partition(" (")[0]

    def merged(self, other: Input) -> Input:
        """This one, with what `other` knows besides."""
        return replace(
            self,
            urls=self.urls or other.urls,
            size=self.size if self.size is not None else other.size,
            files=_union(self.files, other.files),
            targets=_union(self.targets, other.targets),
            platforms=_union(self.platforms, other.platforms),
            sources=_union(self.sources, other.sources),
        )

    def as_json(self) -> dict[str, Any]:
        """For the contract and the report."""
        return {
            "name": self.name,
            "class": self.kind.value,
            "urls": list(self.urls),
            "integrity": None if self.checksum is None else self.checksum.sri,
            "size": self.size,
            "files": list(self.files),
            "targets": list(self.targets),
            "platforms": list(self.platforms),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Input:
        """What `as_json` gave. Raises UsageError for a checksum, and KeyError, TypeError and ValueError."""
        integrity = said["integrity"]
        return cls(
            str(said["name"]),
            Kind(said["class"]),
            _texts(said["urls"]),
            None if integrity is None else Checksum.parse(str(integrity)),
            None if said["size"] is None else int(said["size"]),
            _texts(said["files"]),
            _texts(said["targets"]),
            _texts(said["platforms"]),
        )


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError("a list of texts was awaited")
    return tuple(value)


def _union(one: Sequence[str], other: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def clean_url(url: str) -> str:
    """`url` without user, password and what looks like a secret in it."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return redact(urlunsplit(parts._replace(netloc=host)))
    except ValueError:
        return MASK


def holds_credential(url: str) -> bool:
    """Whether `url` holds a user, a password, or what looks like a token."""
    return clean_url(url) != url
