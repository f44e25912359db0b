"""What Nix remembers of binary caches: `binary-cache-vN.sqlite` in its cache directory.

Nix keeps every answer about a path, the negative ones too (`present` 0, an hour by default), so that
a path which was pushed a moment ago can seem to be missing. The schema is the same in v6 (2.8, 2.26)
and v7 (from 2.31); the file is opened to be read only, and a Nix that writes it is not disturbed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

#: Seconds to wait for a Nix that is writing.
BUSY_SECONDS = 0.5

_QUERY = """
    select BinaryCaches.url, NARs.present, NARs.timestamp, NARs.sigs, NARs.ca
    from NARs join BinaryCaches on NARs.cache = BinaryCaches.id
    where NARs.hashPart = ?
"""


class NarInfoCacheError(Exception):
    """The file is there and cannot be read, or is not as expected. The text is the reason."""


@dataclass(frozen=True)
class Entry:
    """What is remembered of one path in one cache.

    `present` False means that the cache was asked and did not have it (or would not say: 401 and 403
    count as a miss). `asked` is in seconds since the epoch. `content_addressed` paths are taken
    without a signature.
    """

    url: str
    present: bool
    asked: int
    signatures: tuple[str, ...]
    content_addressed: bool


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
        rows = database.execute(_QUERY, (digest,)).fetchall()
    return [
        Entry(str(url), bool(present), int(asked or 0), tuple(str(sigs or "").split()), bool(ca))
        for url, present, asked, sigs, ca in rows
    ]


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
        database = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        with contextlib.closing(database):
            yield database
    except sqlite3.Error as error:
        raise NarInfoCacheError(str(error)) from error


def _format(file: Path) -> int:
    number = file.stem.removeprefix("binary-cache-v")
    return int(number) if number.isdigit() else 0
