"""Every fault of a manifest, with its line: what the validator of the organisation refuses, and its holes.

Labels are texts: only those that begin with `//` or `@` are Bazel's and have to hold a colon. Keys that are
not known are nobody's fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from gfattach.core.finding import Finding, fail, warn
from gfattach.rbe.manifest.model import SECTIONS, Standing
from gfattach.rbe.manifest.positions import Place, Positions

#: What the invariants have to speak of, together.
SUBJECTS = ("remote cache hits", "rbe proof", "attic", "flakehub", "broad presubmit", "runner")

#: What a platform's name ends with.
PLATFORMS = ("-linux-x86_64", "-darwin-aarch64")

_WHY = "a proof goes by this file, and so does what may be claimed"

_STATUSES = (Standing.CANDIDATE.value, Standing.PROVED.value)
_LISTS = ("allowed_modes", "requirements", "proof_required")

#: A fault: the finding's maker with its code, where it is, and the sentence about it.
Fault = tuple[Finding, int]


def lint(read: Positions, name: str) -> list[Fault]:
    """The faults of the manifest that was read from a file shown as `name`, in the order of their lines."""
    faults = sorted(_Lint(read, name).faults(), key=lambda fault: fault[1])
    return list(faults)


class _Lint:
    def __init__(self, read: Positions, name: str) -> None:
        self._read = read
        self._name = name

    def faults(self) -> Iterator[Fault]:
        document = self._read.value
        for place, line in self._read.twice:
            said = f"{place[-1]!r} stands twice in one object, and the last one counts"
            yield self._fault("rbe.lint.key-twice", line, said)
        if not isinstance(document, dict):
            yield self._at("rbe.lint.document", (), "it is no JSON object")
            return
        yield from self._head(document)
        for standing, section in SECTIONS.items():
            yield from self._section(document, section, standing)
        yield from self._labels(document)
        yield from self._invariants(document)

    def _head(self, document: Mapping[str, Any]) -> Iterator[Fault]:
        version = document.get("schema_version")
        if version != 1 or isinstance(version, bool):
            yield self._at(
                "rbe.lint.schema", ("schema_version",), f"schema_version is {version!r}, and not 1"
            )
        for key, code in (
            ("owner_issue", "rbe.lint.owner"),
            ("updated", "rbe.lint.updated"),
            ("platform", "rbe.lint.platform"),
        ):
            if not _text(document.get(key)):
                yield self._at(code, (key,), f"{key} is missing or empty")
        platform = document.get("platform")
        if _text(platform) and not str(platform).endswith(PLATFORMS):
            said = f"platform {platform!r} ends in none of {', '.join(PLATFORMS)}"
            yield self._doubt("rbe.lint.platform-name", ("platform",), said)
        posture = document.get("default_posture")
        if not (_text(posture) and "cache-forward" in str(posture).lower()):
            said = "default_posture does not say cache-forward"
            yield self._at("rbe.lint.posture", ("default_posture",), said)

    def _section(self, document: Mapping[str, Any], section: str, standing: Standing) -> Iterator[Fault]:
        entries = document.get(section)
        if not isinstance(entries, list):
            yield self._at("rbe.lint.section", (section,), f"{section} is no list")
            return
        if not entries and standing is not Standing.PROVED:
            yield self._at("rbe.lint.section-empty", (section,), f"{section} is empty")
        for index, entry in enumerate(entries):
            place = (section, index)
            if not isinstance(entry, dict):
                yield self._at("rbe.lint.class", place, f"an entry of {section} is no object")
                continue
            yield from self._class(entry, place, standing)

    def _class(self, entry: Mapping[str, Any], place: Place, standing: Standing) -> Iterator[Fault]:
        name = entry.get("name")
        if not _text(name):
            yield self._at("rbe.lint.name", (*place, "name"), "a class has no name")
        labels = entry.get("labels")
        if not (isinstance(labels, list) and labels and all(map(_text, labels))):
            yield self._at(
                "rbe.lint.labels", (*place, "labels"), f"{name!r} has no labels, or one that is no text"
            )
        else:
            for index, label in enumerate(labels):
                if label.startswith(("//", "@")) and ":" not in label and not label.endswith("..."):
                    said = f"the label {label!r} has no colon: write //package:target"
                    yield self._at("rbe.lint.label-colon", (*place, "labels", index), said)
        if standing is Standing.BLOCKED:
            if not _texts(entry.get("blockers")):
                said = f"{name!r} says not what blocks it"
                yield self._at("rbe.lint.blockers", (*place, "blockers"), said)
            return
        yield from self._eligible(entry, place, standing)

    def _eligible(self, entry: Mapping[str, Any], place: Place, standing: Standing) -> Iterator[Fault]:
        name, status = entry.get("name"), entry.get("status")
        if status not in _STATUSES:
            said = f"{name!r} has the status {status!r}, which is none of {', '.join(_STATUSES)}"
            yield self._at("rbe.lint.status", (*place, "status"), said)
        elif status != standing.value:
            said = f"{name!r} stands among the {standing.value} classes, and its status is {status}"
            yield self._at("rbe.lint.status-section", (*place, "status"), said)
        for key in _LISTS:
            if not _texts(entry.get(key)):
                said = f"{name!r} has no {key}, or one that is no text"
                yield self._at("rbe.lint.list", (*place, key), said)
        required = entry.get("proof_required")
        if _texts(required) and not any(
            "remote" in text.lower() and "process" in text.lower() for text in required
        ):
            said = f"no proof_required of {name!r} speaks of remote processes"
            yield self._at("rbe.lint.remote-processes", (*place, "proof_required"), said)
        if not _text(entry.get("boundary")):
            said = f"{name!r} has no boundary: nothing says what a proof of it does not prove"
            yield self._at("rbe.lint.boundary", (*place, "boundary"), said)

    def _labels(self, document: Mapping[str, Any]) -> Iterator[Fault]:
        """Labels and names that stand more than once."""
        seen: dict[str, str] = {}
        names: set[str] = set()
        for section in SECTIONS.values():
            for place, entry in _entries(document, section):
                name = entry.get("name")
                if _text(name) and name in names:
                    yield self._at(
                        "rbe.lint.name-twice", (*place, "name"), f"two classes have the name {name!r}"
                    )
                names.add(str(name))
                for index, label in enumerate(entry.get("labels") or ()):
                    if not isinstance(label, str):
                        continue
                    where = (*place, "labels", index)
                    if seen.get(label) == section:
                        said = f"the label {label!r} stands twice in {section}"
                        yield self._at("rbe.lint.label-twice", where, said)
                    elif label in seen:
                        said = f"the label {label!r} stands in {seen[label]} and in {section}"
                        yield self._at("rbe.lint.label-sections", where, said)
                    seen.setdefault(label, section)

    def _invariants(self, document: Mapping[str, Any]) -> Iterator[Fault]:
        invariants = document.get("invariants")
        if not _texts(invariants):
            yield self._at("rbe.lint.invariants", ("invariants",), "invariants is no list of texts")
            return
        together = " ".join(invariants).lower()
        if missing := [subject for subject in SUBJECTS if subject not in together]:
            said = f"the invariants say nothing of: {', '.join(missing)}"
            yield self._at("rbe.lint.invariant-missing", ("invariants",), said)

    def _at(self, code: str, place: Place, said: str) -> Fault:
        return self._fault(code, self._read.line(place), said)

    def _fault(self, code: str, line: int, said: str) -> Fault:
        return fail(code, f"{self._name}:{line}: {said}", _WHY, file=self._name, line=line), line

    def _doubt(self, code: str, place: Place, said: str) -> Fault:
        line = self._read.line(place)
        return warn(code, f"{self._name}:{line}: {said}", _WHY, file=self._name, line=line), line


def _entries(document: Mapping[str, Any], section: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    entries = document.get(section)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and isinstance(entry.get("labels"), list):
            yield (section, index), entry


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(map(_text, value))
