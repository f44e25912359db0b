"""What Nix remembers of binary caches: `binary-cache-vN.sqlite` in its cache directory.

Nix keeps every answer about a path, the negative ones too (`present` 0, an hour by default), so that
a path which was pushed a moment ago can seem to be missing; the positive ones with their signatures (30 days
by
default), so that a cache that was signed anew is refused by what it said before. The schema is the same in v6
(2.8, 2.26) and v7 (from 2.31); the file is opened to be read only, and a Nix that writes it is not disturbed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

#: Seconds to wait for a Nix that is writing.
BUSY_SECONDS = 0.5

#: Entries that are looked at of all that Nix remembers of caches, the latest first.
MOST_REMEMBERED = 2000

_COLUMNS = """
    select BinaryCaches.url, NARs.present, NARs.timestamp, NARs.sigs, NARs.ca,
        BinaryCaches.storeDir, NARs.hashPart, NARs.namePart, NARs.narHash, NARs.narSize, NARs.refs
    from NARs join BinaryCaches on NARs.cache = BinaryCaches.id
"""
_QUERY = f"{_COLUMNS} where NARs.hashPart = ?"
_LATEST = f"{_COLUMNS} where NARs.present = 1 order by NARs.timestamp desc limit {MOST_REMEMBERED}"

#: Bytes 18 and 19 of a database that writes ahead, and where they are (SQLite's file format, 1.3).
_WRITES_AHEAD, _WRITES_AT = b"\2\2", 18


class NarInfoCacheError(Exception):
    """The file is there and cannot be read, or is not as expected. The text is the reason."""


class Entry(Struct, frozen=True):
    """What is remembered of one path in one cache.

    `present` False means that the cache was asked and did not have it (or would not say: 401 and 403
    count as a miss). `asked` is in seconds since the epoch. `content_addressed` paths are taken
    without a signature. `path`, `nar_hash` (as a narinfo has it), `nar_size` and the names `references` are
    what a signature signs; a path that is not there has a `path` that ends behind its hash.
    """

    url: str
    present: bool
    asked: int
    signatures: tuple[str, ...]
    content_addressed: bool
    path: str = ""
    nar_hash: str = ""
    nar_size: int = 0
    references: tuple[str, ...] = ()


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where Nix keeps its caches in this environment."""
    if own := environ.get("NIX_CACHE_HOME"):
        return Path(own)
    home = environ.get("HOME") or str(Path.home())
    return Path(environ.get("XDG_CACHE_HOME") or Path(home) / ".cache") / "nix"


def find_files(directory: Path) -> list[Path]:
    """The files below `directory`, those of the newest format first; each Nix reads its own only."""
    return sorted(directory.glob("binary-cache-v*.sqlite"), key=_format, reverse=True)


def lookup(file: Path, store_path: str) -> list[Entry]:
    """What `file` says of `store_path`, an entry for each cache that was asked. Raises NarInfoCacheError."""
    digest = store_path.rpartition("/")[2].partition("-")[0]
    with _opened(file) as database:
        return [_entry(*row) for row in database.execute(_QUERY, (digest,))]


def latest(file: Path) -> list[Entry]:
    """What `file` says that caches have, what it learnt last first. Raises NarInfoCacheError."""
    with _opened(file) as database:
        return [_entry(*row) for row in database.execute(_LATEST)]


def beside(file: Path) -> tuple[Path, ...]:
    """`file` and what belongs to it."""
    others = (file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm", "-journal"))
    return (file, *(path for path in others if path.exists()))


def absent(file: Path) -> frozenset[str]:
    """The digests of the paths that some cache had not got, as `file` says. Raises NarInfoCacheError."""
    with _opened(file) as database:
        return frozenset(
            str(row[0]) for row in database.execute("select hashPart from NARs where present = 0")
        )


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    if not os.access(file, os.R_OK):
        raise NarInfoCacheError("permission denied")
    try:
        uri = f"file:{quote(str(file))}?{_reading(file)}"
        database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
        with contextlib.closing(database):
            yield database
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        raise NarInfoCacheError(str(error)) from error


def _reading(file: Path) -> str:
    """How `file` is opened: to read a database that writes ahead makes two files beside it, which nobody
    takes away, unless a Nix has them open or it is said that nobody writes it.
    """
    with file.open("rb") as database:
        ahead = database.read(_WRITES_AT + len(_WRITES_AHEAD))[_WRITES_AT:] == _WRITES_AHEAD
    written = all(file.with_name(f"{file.name}{end}").exists() for end in ("-wal", "-shm"))
    return "mode=ro&immutable=1" if ahead and not written else "mode=ro"


def _entry(
    url: Any,
    present: Any,
    asked: Any,
    signatures: Any,
    ca: Any,
    directory: Any,
    digest: Any,
    name: Any,
    nar_hash: Any,
    nar_size: Any,
    references: Any,
) -> Entry:
    return Entry(
        str(url),
        bool(present),
        int(asked or 0),
        tuple(str(signatures or "").split()),
        bool(ca),
        f"{directory}/{digest}-{name or ''}",
        str(nar_hash or ""),
        int(nar_size or 0),
        tuple(str(references or "").split()),
    )


def _format(file: Path) -> int:
    number = file.stem.removeprefix("binary-cache-v")
    return int(number) if number.isdigit() else 0
