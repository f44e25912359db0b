"""Which attachments want which forwards: kept on disk, so that an agent that is started again resumes."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach.agent.model.spec import ForwardSpec, Registration
from gfattach.core import files
from gfattach.core.errors import AgentError, StorageError

_VERSION = 1


class Registry:
    """The registrations of one agent's directory, by the path of their record."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "registrations.json"
        self._kept: dict[Path, Registration] = {item.record: item for item in _read(self._path)}

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """All of them."""
        return tuple(self._kept.values())

    @property
    def forwards(self) -> dict[str, ForwardSpec]:
        """Every forward that is registered, by name."""
        return {spec.name: spec for item in self._kept.values() for spec in item.forwards}

    def of(self, record: Path) -> frozenset[str]:
        """The names of the forwards that the attachment of `record` wants."""
        found = self._kept.get(record)
        return frozenset() if found is None else frozenset(spec.name for spec in found.forwards)

    def check(self, registration: Registration) -> None:
        """Raise AgentError `agent.conflict` where another attachment means something else by a name."""
        others = [item for item in self._kept.values() if item.record != registration.record]
        for spec in registration.forwards:
            for item in others:
                if any(other.name == spec.name and other != spec for other in item.forwards):
                    raise AgentError(
                        f"{spec.name} is another upstream in the attachment of {place(item)}",
                        "detach that one first: gfattach down, in its workspace",
                        code="agent.conflict",
                    )

    def add(self, registration: Registration) -> None:
        """Keep `registration` in place of what its record had before. Raises StorageError."""
        self._kept[registration.record] = registration
        self._write()

    def remove(self, record: Path) -> None:
        """Forget the registration of `record`. Raises StorageError; it is forgotten all the same."""
        if self._kept.pop(record, None) is not None:
            self._write()

    def missing_records(self) -> tuple[Path, ...]:
        """Records that are no longer there: their attachments were undone, or their directories removed."""
        return tuple(record for record, item in self._kept.items() if is_missing(item))

    def _write(self) -> None:
        if not self._kept:
            files.remove(self._path)
            return
        items = [item.as_json() for item in self._kept.values()]
        files.write_json(self._path, {"version": _VERSION, "registrations": items})


#: What a file system says of what is not there; ENAMETOOLONG of what never was.
_NEVER_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG)


def place(registration: Registration) -> Path:
    """Where the attachment of `registration` is, for a user: its workspace, or its home outside of any."""
    return registration.record.parent if registration.home is None else registration.home.parent


def is_missing(registration: Registration) -> bool:
    """Whether an attachment is there no more: its record or its home; not where that cannot be told, because
    the file system may be away.
    """
    home = registration.home
    return _missing(registration.record) or (home is not None and _missing(home))


def _missing(path: Path) -> bool:
    try:
        path.stat()  # from Python 3.14 on, Path.exists says no to whatever error there is
    except OSError as error:
        return error.errno in _NEVER_THERE
    except ValueError:  # a NUL in it
        return True
    return False


def _read(path: Path) -> list[Registration]:
    try:
        document: Any = files.read_json(path)
    except StorageError:
        return []  # damaged: who is attached registers again
    if not isinstance(document, Mapping) or document.get("version") != _VERSION:
        return []
    found = []
    items = document.get("registrations")
    for item in items if isinstance(items, list) else ():
        try:
            found.append(Registration.from_json(item))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return found
