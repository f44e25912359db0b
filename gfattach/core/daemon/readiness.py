"""The readiness handshake of a process that outlives its starter: one JSON document on standard output.

It stands on the first line of standard output, which is closed after it: `{"ready": ...}` when the process
serves, `{"error": {...}}` when it cannot. Its starter reads that in `gfattach.core.daemon.start`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gfattach.core import files
from gfattach.core.errors import ExitCode, GfattachError, StorageError, UsageError


def tell_parent(document: Mapping[str, Any]) -> None:
    """Write `document` to standard output as one line, and close it: the parent waits for its end."""
    with contextlib.suppress(OSError):  # a parent that is gone need not be told
        os.write(1, (json.dumps(document) + "\n").encode())
    handle = os.open(os.devnull, os.O_WRONLY)
    os.dup2(handle, 1)
    os.close(handle)


def served(serve: Callable[[], None], directory: Path) -> int:
    """`serve` to the end, and return the exit code; an error is told to the parent.

    `directory` is what an OSError is about.
    """
    try:
        try:
            serve()
        except OSError as error:
            raise files.storage_error("use", directory, error) from error
    except GfattachError as error:
        tell_parent({"error": error_document(error)})
        return error.exit_code
    return 0


def error_document(error: GfattachError) -> dict[str, Any]:
    """`error` as JSON, for another process."""
    return {"code": error.code, "fact": error.fact, "hints": list(error.hints), "exit": int(error.exit_code)}


def error_of(
    said: Mapping[str, Any],
    otherwise: type[GfattachError],
    kinds: Mapping[str, type[GfattachError]] | None = None,
) -> GfattachError:
    """The error of `error_document`, as it would have been raised here: of the class `otherwise`, unless its
    code is one of `kinds`, or its exit code is that of usage. Raises KeyError for what is none.
    """
    usage = said["exit"] == ExitCode.USAGE
    known: dict[str, type[GfattachError]] = {StorageError.default_code: StorageError, **(kinds or {})}
    kind = known.get(str(said["code"]), UsageError if usage else otherwise)
    return kind(str(said["fact"]), *map(str, said["hints"]), code=str(said["code"]))
