"""From evidence to the table. Two axes that say nothing of each other: what the cache serves, and what was
executed remotely. A cell says when it was seen and where that is written; without evidence it says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from gfattach.rbe.coverage.languages import LANGUAGES, OTHER, language_of
from gfattach.rbe.evidence.document import CACHED
from gfattach.rbe.evidence.store import Kept


class Cell(Struct, frozen=True):
    """What is said, of when, and where that is written. `stale` says that it is older than it may be."""

    text: str
    date: str
    source: str
    stale: bool = False

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"text": self.text, "date": self.date, "source": self.source, "stale": self.stale}


class Row(Struct, frozen=True):
    """One language. Every list is empty where there is no evidence."""

    language: str
    hermeticity: tuple[Cell, ...] = ()
    cached: tuple[Cell, ...] = ()
    executed: tuple[Cell, ...] = ()
    gaps: tuple[Cell, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is any evidence."""
        return bool(self.executed)

    @property
    def stale(self) -> bool:
        """Whether any of it is older than it may be."""
        return any(cell.stale for cell in self.executed)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        cells = ("hermeticity", "cached", "executed", "gaps")
        return {
            "language": self.language,
            "known": self.known,
            "stale": self.stale,
            **{name: [cell.as_json() for cell in getattr(self, name)] for name in cells},
        }


class _Seen(Struct):
    hermeticity: list[Cell] = []
    cached: list[Cell] = []
    executed: list[Cell] = []
    gaps: list[Cell] = []


def make_table(evidence: Iterable[Kept], now: datetime, age: timedelta) -> tuple[Row, ...]:
    """The table of `evidence`, which was verified: of each target the latest. Older than `age` is stale."""
    latest: dict[str, Kept] = {}
    for kept in evidence:
        label = str(kept.document["target"])
        if label not in latest or latest[label].proved_at < kept.proved_at:
            latest[label] = kept
    seen: dict[str, _Seen] = {name: _Seen() for name, _ in LANGUAGES}
    for label in sorted(latest):
        _add(seen, latest[label], now, age)
    return tuple(
        Row(name, *(tuple(each) for each in (one.hermeticity, one.cached, one.executed, one.gaps)))
        for name, one in seen.items()
    )


def _add(seen: dict[str, _Seen], kept: Kept, now: datetime, age: timedelta) -> None:
    document = kept.document
    date, stale = kept.proved_at.date().isoformat(), now - kept.proved_at > age
    source = document["run"]["url"] or f"{kept.path.parent.name}/{kept.path.name}"

    def cell(text: str) -> Cell:
        return Cell(text, date, source, stale)

    label = document["target"]
    by_language: dict[str, list[Mapping[str, Any]]] = {}
    for mnemonic in document["mnemonics"]:
        by_language.setdefault(language_of(mnemonic["name"]), []).append(mnemonic)
    for language, mnemonics in by_language.items():
        if language == OTHER:
            continue
        into = seen[language]
        count = sum(each["executed"] for each in mnemonics)
        names = ", ".join(each["name"] for each in mnemonics)
        into.executed.append(
            cell(f"{label}: {count} executed ({names}) on {document['manifest']['platform']}")
        )
        into.hermeticity.append(cell(_hermeticity(mnemonics)))
        if (hits := _cached_hits(document)) is not None:
            into.cached.append(cell(f"{label}: {hits} served again from the cache"))
        into.gaps += [cell(gap) for gap in _gaps(document, mnemonics)]


def _hermeticity(mnemonics: Iterable[Mapping[str, Any]]) -> str:
    """Whether what was run is an input of the build, or a program of the worker's own."""
    programs = sorted({program for each in mnemonics for program in each["programs"]})
    if programs:
        return f"not hermetic: runs {', '.join(programs)} of the worker"
    return "Bazel-hermetic: every program is an input"


def _cached_hits(document: Mapping[str, Any]) -> int | None:
    controls = [each for each in document["controls"] if each["name"] == CACHED and each["held"]]
    hits = sum(each["remote_hits"] for each in controls)
    return hits or None


def _gaps(document: Mapping[str, Any], mnemonics: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    if not document["workers"]:
        yield "worker image and restarts were not seen"
    elif document["image_digest"] is None:
        yield "no single worker image"
    if any(each["forced"] < each["executed"] for each in mnemonics):
        yield "some actions carry no nonce"
    if document["run"]["source"] == "local":
        yield "proved from a developer's machine"
    if document["repository"]["commit"] is None or document["repository"]["modified"]:
        yield "no commit that has what was built"
    yield document["not_proved"]
