"""Finds and reads the manifest of a workspace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.core.finding import Finding, Status
from gfattach.core.quote import word
from gfattach.rbe.manifest.lint import lint
from gfattach.rbe.manifest.model import SECTIONS, Manifest, Standing, TargetClass
from gfattach.rbe.manifest.positions import Positions, read_positions

#: Where a workspace has it: a repository's own name for the file, and the central one.
FILE_NAMES = ("config/bazel-rbe-target-eligibility.json", "config/rbe-target-eligibility.json")

#: Bytes that a manifest may have: it is written by hand.
MANIFEST_BYTES = 4 * 1024 * 1024


def find_manifest(file: Path | None, workspace: Path | None) -> Path:
    """`file`, or the manifest of `workspace`.

    Raises UsageError: `rbe.manifest.missing` where there is none, `rbe.manifest.several` where both names are
    taken.
    """
    if file is not None:
        return file
    place = Path() if workspace is None else workspace
    found = [place / name for name in FILE_NAMES if (place / name).exists()]
    if len(found) > 1:
        raise UsageError(
            f"{place} has two eligibility manifests: {' and '.join(FILE_NAMES)}",
            "name the one that counts: --manifest FILE, or rbe lint FILE",
            code="rbe.manifest.several",
        )
    if not found:
        raise UsageError(
            f"{place} has no eligibility manifest: neither {' nor '.join(FILE_NAMES)}",
            "name it: --manifest FILE, or rbe lint FILE",
            code="rbe.manifest.missing",
        )
    return found[0]


def read_document(path: Path) -> tuple[Positions, bytes]:
    """The document at `path` with its lines, and its bytes.

    Raises UsageError (`rbe.manifest.unreadable`) for what is no JSON, with the line, and StorageError.
    """
    content = read_bytes(path)
    if content is None:
        raise UsageError(
            f"there is no file {path}",
            "name the manifest: --manifest FILE, or rbe lint FILE",
            code="rbe.manifest.missing",
        )
    if len(content) > MANIFEST_BYTES:
        raise _unreadable(f"{path} is {len(content)} bytes long, and may have {MANIFEST_BYTES}")
    try:
        return read_positions(content.decode("utf-8")), content
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unreadable(f"{path}:{line}: it is not UTF-8") from error
    except (json.JSONDecodeError, RecursionError) as error:
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        raise _unreadable(f"{path}{where}: it is not JSON: {said[:1].lower()}{said[1:]}") from error


def lint_file(path: Path) -> list[Finding]:
    """Every fault of the manifest at `path`, in the order of the lines. Raises as `read_document`."""
    return [finding for finding, _ in lint(read_document(path)[0], str(path))]


def load_manifest(path: Path) -> Manifest:
    """The manifest at `path`. Raises UsageError (`rbe.manifest.faults`) for one with faults, and as
    `read_document`.
    """
    read, content = read_document(path)
    faults = [finding for finding, _ in lint(read, str(path)) if finding.status is Status.FAIL]
    if faults:
        raise UsageError(
            faults[0].seen,
            *(finding.seen for finding in faults[1:4]),
            f"see all of them: gfattach rbe lint {word(path)}",
            code="rbe.manifest.faults",
        )
    document = read.value
    return Manifest(
        path,
        hashlib.sha256(content).hexdigest(),
        document["platform"],
        document["updated"],
        document["default_posture"],
        tuple(_classes(document, read)),
    )


def _classes(document: Mapping[str, Any], read: Positions) -> Iterator[TargetClass]:
    for standing, section in SECTIONS.items():
        for index, entry in enumerate(document[section]):
            line = read.line((section, index))
            name, labels = entry["name"], tuple(entry["labels"])
            if standing is Standing.BLOCKED:
                yield TargetClass(name, standing, labels, line, blockers=tuple(entry["blockers"]))
                continue
            lists = {key: tuple(entry[key]) for key in ("allowed_modes", "requirements", "proof_required")}
            yield TargetClass(name, standing, labels, line, boundary=entry["boundary"], **lists)


def _unreadable(fact: str) -> UsageError:
    return UsageError(
        fact, "mend it there, and look again: gfattach rbe lint", code="rbe.manifest.unreadable"
    )
