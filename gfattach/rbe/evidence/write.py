"""Writes a directory of evidence: the files are there, the document and its statement are added."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gfattach.core.errors import UsageError
from gfattach.core.files import make_private_directory, remove_tree, storage_error, write_atomic
from gfattach.rbe.evidence.directory import digest_of
from gfattach.rbe.evidence.document import DOCUMENT_NAME, STATEMENT_NAME
from gfattach.rbe.evidence.statement import statement


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Make `path`, which holds nothing yet, for evidence that is written within. If that comes to no end,
    the directory goes with what is in it: logs without a document prove nothing.

    Raises UsageError (`rbe.evidence.exists`) and StorageError.
    """
    make_private_directory(path)
    try:
        used = any(path.iterdir())
    except OSError as error:
        raise storage_error("read", path, error) from error
    if used:
        raise UsageError(
            f"{path} holds something already",
            "evidence of two proofs in one directory is evidence of none: name another",
            code="rbe.evidence.exists",
        )
    try:
        yield path
    except BaseException:
        remove_tree(path)
        raise


def listing(files: Iterable[tuple[str, Path]]) -> list[dict[str, Any]]:
    """What the document lists: each file with its role, digest and size. Raises StorageError."""
    listed = []
    for role, path in files:
        try:
            sha256, size = digest_of(path)
        except OSError as error:
            raise storage_error("read", path, error) from error
        listed.append({"name": path.name, "role": role, "sha256": sha256, "size": size})
    return sorted(listed, key=lambda each: str(each["name"]))


def write_document(directory: Path, document: Mapping[str, Any], *, proved: bool = True) -> Path:
    """Write the document, and the statement that it proves, or does not; where the document is.

    Raises StorageError.
    """
    path = directory / DOCUMENT_NAME
    content = (json.dumps(document, indent=2) + "\n").encode()
    write_atomic(path, content)
    said = (json.dumps(statement(content, document, proved=proved), indent=2) + "\n").encode()
    write_atomic(directory / STATEMENT_NAME, said)
    return path
