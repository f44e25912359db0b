"""What of an event file may be kept: the options without secrets, the times, how it ended, and its counts.

An event file holds every option that a command had, several times, headers with tokens among them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gfattach.core.files import write_atomic
from gfattach.core.redact import redacted

#: Options whose values are secrets, or say where they are kept.
_SECRET = (
    "remote_header",
    "remote_cache_header",
    "remote_exec_header",
    "remote_downloader_header",
    "bes_header",
    "google_credentials",
    "credential_helper",
    "tls_client_key",
    "client_env",
)

_KEPT = ("started", "optionsParsed", "finished", "buildMetrics")


def keep_excerpt(events: Path, kept: Path) -> None:
    """Write to `kept` what may be kept of the event file `events`. Raises StorageError."""
    lines = [json.dumps(redacted(event)) for event in _events(events)]
    write_atomic(kept, "".join(f"{line}\n" for line in lines).encode())


def _events(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                return  # Bazel was killed while it wrote
            for name in _KEPT:
                if isinstance(event, dict) and isinstance(event.get(name), dict):
                    yield {"id": event.get("id", {}), name: _without_secrets(name, event[name])}


def _without_secrets(name: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    if name == "optionsParsed":
        lists = ("cmdLine", "explicitCmdLine")
        return {key: [each for each in event.get(key, ()) if not _secret(str(each))] for key in lists}
    if name == "buildMetrics":
        return {"actionSummary": event.get("actionSummary", {})}
    if name == "started":
        return {
            key: event[key]
            for key in ("uuid", "startTimeMillis", "buildToolVersion", "command")
            if key in event
        }
    return event


def _secret(option: str) -> bool:
    key = option.removeprefix("--").partition("=")[0]
    return key.removeprefix("experimental_") in _SECRET
