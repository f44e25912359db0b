"""The TOML that describes a site: as a file on a machine, and as an entry of a ConfigMap.

It is read in two steps, so that the reader stops at the first fault and a check shows all of them.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.errors import UsageError
from gfattach.site.secrets import secret_name
from gfattach.site.settings import BY_KEY

#: A site's description is written by hand: one that is larger was not.
MAX_BYTES = 256 * 1024

#: Characters of a key that a message shows.
_NAME_SHOWN = 80

_HELP = "see: gfattach help site"


def read_tables(content: bytes, source: str) -> dict[str, Any]:
    """The TOML in `content`, which stands in `source`. Raises UsageError."""
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"{source} is {len(content)} bytes long; a site's description has at most {MAX_BYTES}"
        )
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} is not TOML: {error}", _HELP) from error


def entries(tables: Mapping[str, Any], source: str) -> Iterator[tuple[str, Any, UsageError | None]]:
    """Every entry: its key, its raw value, and what is wrong with the key itself, if anything."""
    for table, content in tables.items():
        if not isinstance(content, dict):
            yield table, content, _misplaced(table[:_NAME_SHOWN], source)
            continue
        for name, value in content.items():
            key = f"{table}.{name}"
            yield key, value, None if key in BY_KEY else _unknown(key[:_NAME_SHOWN], source)


def raw_values(tables: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The raw values by setting key. Raises UsageError for the first key that cannot stand there."""
    values: dict[str, Any] = {}
    for key, value, fault in entries(tables, source):
        if fault is not None:
            raise fault
        values[key] = value
    return values


def _misplaced(table: str, source: str) -> UsageError:
    return UsageError(f"{source}: {table} stands outside of any table", _HELP, code="site.key.table")


def _unknown(key: str, source: str) -> UsageError:
    if secret_name(key):
        return UsageError(
            f"{source}: {key} is called like a secret, and a site never holds one",
            "take it out; a token is kept in the keyring of the person who uses it",
            code="site.secret",
        )
    table = key.partition(".")[0]
    near = difflib.get_close_matches(key, BY_KEY, n=1, cutoff=0.75)
    there = [known.partition(".")[2] for known in BY_KEY if known.partition(".")[0] == table]
    hints = [f"it may be meant for {near[0]}"] if near else []
    hints.append(f"in [{table}] there are: {', '.join(there)}" if there else _HELP)
    return UsageError(f"{source}: there is no setting {key}", *hints, code="site.key.unknown")
