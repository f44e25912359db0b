"""What Bazels have answered before, kept on disk for as long as the program does not change."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach.core.errors import StorageError
from gfattach.core.files import locked, make_private_directory, read_json, write_json

#: How many programs' answers are kept.
KEPT_PROGRAMS = 8

_FORMAT = 1


class Answers:
    """What is known of one program, by question. A file that cannot be used costs time, nothing else."""

    def __init__(self, path: Path | None, identity: str) -> None:
        self._path = path
        self._identity = identity
        self.flags: dict[str, bool] = dict(self._programs().get(identity, {}))

    def _programs(self) -> dict[str, Mapping[str, bool]]:
        """What is kept of each program, the one asked last at the end."""
        document: Any = None
        if self._path is not None:
            with contextlib.suppress(StorageError):
                document = read_json(self._path)
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            return {}
        entries = document.get("programs")
        if not isinstance(entries, list):
            return {}
        return {
            entry["program"]: entry["flags"]
            for entry in entries
            if isinstance(entry, dict)
            and isinstance(entry.get("program"), str)
            and isinstance(entry.get("flags"), dict)
        }

    def learn(self, answers: Mapping[str, bool]) -> None:
        """Add `answers` and keep them."""
        self.flags.update(answers)
        if self._path is None:
            return
        with contextlib.suppress(StorageError):
            make_private_directory(self._path.parent)
            with locked(self._path.with_suffix(".lock"), 2.0):
                programs = self._programs()
                programs[self._identity] = {**programs.pop(self._identity, {}), **self.flags}
                kept = list(programs.items())[-KEPT_PROGRAMS:]
                entries = [{"program": program, "flags": dict(flags)} for program, flags in kept]
                write_json(self._path, {"format": _FORMAT, "programs": entries})
