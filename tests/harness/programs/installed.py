"""The programs that are there, each with what was recorded of it when it was fetched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.harness.programs.catalogue import PROGRAMS, Kind
from tests.harness.programs.place import programs_directory
from tests.harness.programs.short_lived import short_lived

#: What is known of a program, beside it.
RECORD = "program.json"


@dataclass(frozen=True)
class Installed:
    """One program: `launcher` is what to call; `version` what it says of itself, `package_version` Debian."""

    name: str
    kind: Kind
    suite: str
    version: str
    package_version: str
    launcher: Path
    directory: Path

    @property
    def label(self) -> str:
        """Its name for a test: `debian-sid-7.7.1`."""
        return f"debian-{self.suite}-{self.version}"


def installed(name: str) -> Installed | None:
    """The program `name` in the version that was fetched or used last; None when there is none."""
    records = list((programs_directory() / name).glob(f"*/{RECORD}"))
    if not records:
        return None
    record = max(records, key=lambda path: path.stat().st_mtime)
    document = json.loads(record.read_text())
    directory = record.parent
    return Installed(
        name=name,
        kind=Kind(document["kind"]),
        suite=document["suite"],
        version=document["version"],
        package_version=document["package_version"],
        launcher=short_lived(directory / document["launcher"]),
        directory=directory,
    )


def of_kind(kind: Kind) -> dict[str, Installed | None]:
    """Every program of a kind, by its label; by its name, and None, where it is not there."""
    found = {each.name: installed(each.name) for each in PROGRAMS if each.kind is kind}
    return {there.label if there else name: there for name, there in found.items()}
