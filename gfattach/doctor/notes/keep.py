"""Keeping a run as a note: what is said beside the run itself, and whom it is scrubbed of."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gfattach.core.context import Context
from gfattach.doctor.notes.files import write_note
from gfattach.doctor.notes.privacy import Identity, scrubbed


def keep_note(
    document: Mapping[str, Any],
    title: str,
    remarks: Sequence[str],
    replay: str,
    context: Context,
    workspace: Path | None,
) -> Path:
    """Scrub the run's document and write its note into the workspace; its path. Raises StorageError.

    `replay` is the command that was called.
    """
    home = context.home(workspace)
    runtime = context.environ.get("XDG_RUNTIME_DIR")
    identity = Identity(
        _user(), Path.home(), socket.gethostname(), home.workspace, None if not runtime else Path(runtime)
    )
    note = _note(document, title, remarks, replay)
    noted = {**document, "result": {**document["result"], "note": note}}
    return write_note(home.workspace or context.cwd, scrubbed(noted, identity))


def _note(document: Mapping[str, Any], title: str, remarks: Sequence[str], replay: str) -> dict[str, Any]:
    settings = document["result"].get("site", {}).get("settings", {})
    values = {key: entry["value"] for key, entry in settings.items()}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    machine = document["result"].get("machine")
    if not isinstance(machine, str):  # a proof's record has it in parts
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return {
        "title": title,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "remarks": list(remarks),
        "machine": {"machine": machine, "python": platform.python_version(), **_programs(document)},
        "site": f"sha256:{digest[:16]}",
        "replay": [replay],
    }


def _programs(document: Mapping[str, Any]) -> dict[str, str]:
    """The versions of the client programs that were found."""
    found = {}
    for stage in document["stages"]:
        for finding in stage["findings"]:
            name, _, rest = finding["probe"].partition(".")
            if rest == "program" and finding["status"] == "ok":
                found[name] = finding["seen"].rpartition(", ")[2]
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without an entry
        return ""
