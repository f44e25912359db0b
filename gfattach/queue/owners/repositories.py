"""The file of `--owners`: repositories, with checkouts and receipts where there are any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.queue.model.question import repository

_FORM = 'a line for each, OWNER/NAME; or TOML: [[repository]] name = "OWNER/NAME", checkout, receipts'


class Entry(Struct, frozen=True):
    """A repository; `checkout` None where there is none, `receipts` are files of GitHub's answers."""

    name: str
    checkout: Path | None = None
    receipts: tuple[Path, ...] = ()


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The repositories in `path`; paths in it are below its directory. Raises UsageError."""
    content = read_bytes(path)
    if content is None:
        raise UsageError(f"there is no file {path}", _FORM, code="queue.owners.file")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text: {error.reason}", _FORM, code="queue.owners.file") from None
    made = tuple(_toml(text, path) if "[[repository]]" in text else _lines(text))
    if not made:
        raise UsageError(f"{path} names no repository", _FORM, code="queue.owners.file")
    return made


def _lines(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        said = line.partition("#")[0].strip()
        if said:
            yield Entry(repository(said))


def _toml(text: str, path: Path) -> Iterator[Entry]:
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}", _FORM, code="queue.owners.file") from None
    found = document.get("repository")
    for each in found if isinstance(found, list) else ():
        yield _entry(each, path)


def _entry(each: Any, path: Path) -> Entry:
    name = each.get("name") if isinstance(each, dict) else None
    if not isinstance(name, str):
        raise UsageError(f"{path}: a repository has no name", _FORM, code="queue.owners.file")
    checkout, receipts = each.get("checkout"), each.get("receipts", [])
    good = isinstance(receipts, list) and all(isinstance(one, str) for one in receipts)
    if not good or not isinstance(checkout, str | None):
        raise UsageError(
            f"{path}: checkout of {name} is to be a path, and receipts a list of paths",
            _FORM,
            code="queue.owners.file",
        )
    below = path.parent
    return Entry(
        repository(name),
        None if checkout is None else below / checkout,
        tuple(below / one for one in receipts),
    )
