"""The repository's manifest, `tinyland.repo.json`, as far as it speaks of substrates. Never written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.core.quote import word

FILE_NAME = "tinyland.repo.json"

#: Bytes that a manifest may have: it is written by hand.
MANIFEST_BYTES = 1024 * 1024


def read_manifest(workspace: Path) -> dict[str, Any] | None:
    """The manifest of `workspace`, None when it has none.

    Raises UsageError (`contract.manifest.unreadable`) for a file that is no manifest, and
    StorageError for one that cannot be read.
    """
    path = workspace / FILE_NAME
    content = read_bytes(path)
    if content is None:
        return None
    if len(content) > MANIFEST_BYTES:
        raise _unreadable(path, f"is {len(content)} bytes long, and may have {MANIFEST_BYTES}")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _unreadable(path, "is not a JSON object")
    if not isinstance(document.get("enrollment", {}), dict):
        raise _unreadable(path, "has an enrollment that is no object")
    return document


def declared_mode(manifest: Mapping[str, Any] | None) -> object | None:
    """The mode that `manifest` declares, as it stands there; None when it declares none."""
    enrollment = (manifest or {}).get("enrollment")
    return enrollment.get("substrateMode") or None if isinstance(enrollment, Mapping) else None


def _unreadable(path: Path, what: str) -> UsageError:
    return UsageError(f"{path} {what}", f"look at it: cat {word(path)}", code="contract.manifest.unreadable")
