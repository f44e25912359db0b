"""Where evidence is kept: by workspace below the user's state directory, or where one says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.errors import GfattachError, UsageError
from gfattach.core.paths import Home, state_directory
from gfattach.rbe.evidence.directory import read_json_document
from gfattach.rbe.evidence.document import DOCUMENT_NAME, SCHEMA, SHAPE
from gfattach.rbe.evidence.shape import check, moment_of


class Kept(Struct, frozen=True):
    """A document of evidence that was found; `fault` says why it cannot be used, "" where it can."""

    path: Path
    document: Mapping[str, Any]
    fault: str = ""

    @property
    def proved_at(self) -> datetime:
        """When the run began, which the nonce in its logs holds too; not when the document says that it was
        written. Of one without a fault alone.
        """
        return moment_of(self.document["run"]["started"])


def evidence_home(home: Home) -> Path:
    """Where the proofs of a workspace are kept, a directory each."""
    return state_directory() / "rbe" / home.key


def find_evidence(places: Iterable[Path]) -> Iterator[Kept]:
    """Every document of evidence at or below `places`, in the order of their paths.

    Raises UsageError (`rbe.evidence.missing`) for a place that is not there.
    """
    for place in places:
        if not place.exists():
            raise UsageError(
                f"there is no {place}", "name what rbe prove has written", code="rbe.evidence.missing"
            )
        documents = [place] if place.is_file() else sorted(place.rglob(DOCUMENT_NAME))
        for path in documents:
            yield _read(path)


def _read(path: Path) -> Kept:
    try:
        document, _ = read_json_document(path)
    except GfattachError as error:
        return Kept(path, {}, error.fact)
    if document.get("schema") != SCHEMA:
        return Kept(path, {}, f"{path} is of the schema {document.get('schema')!r}")
    faults = list(check(document, SHAPE))
    return Kept(path, {} if faults else document, faults[0].seen if faults else "")
