"""What this user has allowed of a workspace, once: its directory, and files of it by their content.

`allowed/KEY.json` in the user's state directory, as direnv keeps it: another content of a file is asked about
anew. Nothing in a workspace says anything of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gfattach.core import files
from gfattach.core.errors import StorageError

_VERSION = 1


class Allowed(Struct, frozen=True):
    """`directory` says that the workspace itself is trusted though another user may write to it; `digests`
    are those of files, by their path in the workspace.
    """

    directory: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)


def digest(content: bytes) -> str:
    """SHA-256, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read(state: Path, workspace: Path) -> Allowed:
    """What is allowed of `workspace`; nothing where what is kept cannot be made sense of.

    `state` is the user's state directory. Raises StorageError for a file that cannot be read.
    """
    try:
        document: Any = files.read_json(_file(state, workspace))
        digests = document["files"]
        texts = all(isinstance(text, str) for pair in digests.items() for text in pair)
        if document["version"] == _VERSION and document["workspace"] == str(workspace) and texts:
            return Allowed(document["directory"] is True, dict(digests))
    except StorageError as error:
        if error.code != "storage.json":
            raise
    except (TypeError, KeyError, AttributeError):
        pass
    return Allowed()


def write(state: Path, workspace: Path, allowed: Allowed) -> None:
    """Keep `allowed` in place of what was kept of `workspace`. Raises StorageError."""
    path = _file(state, workspace)
    files.make_private_directory(path.parent)
    document = {
        "version": _VERSION,
        "workspace": str(workspace),
        "directory": allowed.directory,
        "files": dict(allowed.digests),
    }
    files.write_json(path, document)


def forget(state: Path, workspace: Path) -> bool:
    """Allow nothing of `workspace` any more; whether anything was. Raises StorageError."""
    return files.remove(_file(state, workspace))


def kept(state: Path, workspace: Path) -> Path | None:
    """Where it is kept what was allowed of `workspace`; None where nothing was."""
    path = _file(state, workspace)
    return path if path.exists() else None


def _file(state: Path, workspace: Path) -> Path:
    return state / "allowed" / f"{digest(os.fsencode(workspace))[:32]}.json"
