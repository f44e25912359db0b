"""A directory of evidence on the disk: its files by role, each a real file with the digest that is listed.

Nothing is followed out of it: a link, a path or a device in place of a file is a fault.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gfattach.core.errors import UsageError
from gfattach.core.files import storage_error
from gfattach.core.finding import Finding, fail
from gfattach.rbe.evidence.document import DOCUMENT_NAME, STATEMENT_NAME

#: Bytes that a document may have: logs stand beside it, and not in it.
DOCUMENT_BYTES = 16 * 1024 * 1024

#: The organisation's own result, which is verified by its name and may lie in the directory too.
_BESIDE = ("proof-result.json", "proof-result.attestation.json")

_PIECE = 1024 * 1024


class Evidence(Struct, frozen=True):
    """A document that was read, with the bytes of it, and the files that are what it lists, by role."""

    path: Path
    content: bytes
    document: dict[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """Where the document's files are."""
        return self.path.parent


def read_json_document(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON object at `path`, which is a file and no link, with its bytes.

    Raises UsageError (`rbe.evidence.missing`, `.link`, `.unreadable`) and StorageError.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(
                f"{path} is no file: it is {_kind(status.st_mode)}",
                "evidence is what lies there itself: copy the file in its place",
                code="rbe.evidence.link",
            )
        content = path.read_bytes() if status.st_size <= DOCUMENT_BYTES else None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"there is no {path}",
            "name a directory of evidence, or its document",
            code="rbe.evidence.missing",
        ) from None
    except OSError as error:
        raise storage_error("read", path, error) from error
    if content is None:
        raise _unreadable(path, f"it is longer than {DOCUMENT_BYTES} bytes")
    try:
        document = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(document, dict):
        raise _unreadable(path, "it is no object")
    return document, content


def listed_files(directory: Path, document: Mapping[str, Any]) -> tuple[dict[str, Path], list[Finding]]:
    """The files that `document` lists and that are there as listed, by role; and a finding for each fault."""
    found: dict[str, Path] = {}
    faults: list[Finding] = []
    names = {DOCUMENT_NAME, STATEMENT_NAME, *_BESIDE}
    for entry in document["files"]:
        name, role = entry["name"], entry["role"]
        names.add(name)
        path = directory / name
        fault = _fault(path, entry)
        if fault is not None:
            faults.append(fault)
        elif role in found:
            said = f"two files are listed as {role}"
            faults.append(fail("rbe.evidence.role-twice", said, "nobody can tell which of them counts"))
        else:
            found[role] = path
    faults += _unlisted(directory, names)
    return found, faults


def file_fault(directory: Path, name: str) -> str | None:
    """Why `name` below `directory` is no file, where it is there: a link, itself or on the path to it, or
    something else. None for a real file and for nothing at all.
    """
    path = directory
    parts = Path(name).parts
    for depth, part in enumerate(parts, 1):
        path /= part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise storage_error("read", path, error) from error
        whole = depth == len(parts)
        if not (stat.S_ISREG(mode) if whole else stat.S_ISDIR(mode)):
            return f"{'/'.join(parts[:depth])} is no {'file' if whole else 'directory'}: it is {_kind(mode)}"
    return None


def digest_of(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file in hexadecimal, and its bytes. Raises OSError."""
    hashed, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            hashed.update(piece)
            size += len(piece)
    return hashed.hexdigest(), size


def _fault(path: Path, entry: Mapping[str, Any]) -> Finding | None:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            said = f"{path.name} is no file: it is {_kind(mode)}"
            return fail("rbe.evidence.file-link", said, "what it leads to can be exchanged")
        sha256, size = digest_of(path)
    except FileNotFoundError:
        return fail(
            "rbe.evidence.file-missing", f"{path.name} is listed and not there", "nothing can be checked"
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        return fail(
            "rbe.evidence.file-unread", f"{path.name} cannot be read: {reason}", "nothing can be checked"
        )
    if (sha256, size) != (entry["sha256"], entry["size"]):
        said = f"{path.name} is not the file that the evidence lists: its SHA-256 is {sha256}"
        return fail("rbe.evidence.file-digest", said, "it was changed after the evidence was written")
    return None


def _unlisted(directory: Path, names: set[str]) -> Iterator[Finding]:
    try:
        there = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise storage_error("read", directory, error) from error
    for name in there:
        if name not in names:
            said = f"{name} lies in the directory, and the evidence does not list it"
            yield fail("rbe.evidence.file-unlisted", said, "nothing says what it is, or who put it there")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISREG(mode):
        return "a file"
    return "a directory" if stat.S_ISDIR(mode) else "a pipe or a device"


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{path} is no document: {reason}",
        "it was cut off, or is another file",
        code="rbe.evidence.unreadable",
    )
