"""Headers for one run of Bazel: an rc file of its own, private, and gone when nobody needs it.

Bazel takes headers on its command line, which every user of the machine can read, or from an rc
file. So they stand in a file that only this user can read (0600 in a directory that is 0700), in
the session's runtime directory where there is one. It is named after the process that becomes
Bazel, and is swept away by the next run, or by `gfattach down`, once that process has ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gfattach.core.files import make_private_directory, remove, write_atomic
from gfattach.core.paths import cache_directory, own_runtime_directory
from gfattach.core.process import ProcessId
from gfattach.core.trust import ownership

_PREFIX, _SUFFIX = "headers-", ".bazelrc"


def write_headers(text: str, environ: Mapping[str, str]) -> Path:
    """Write `text` for the run of Bazel that this process becomes; where. Raises StorageError."""
    directory = _directory(environ)
    ownership.claim(directory)
    file = make_private_directory(directory) / f"{_PREFIX}{os.getpid()}{_SUFFIX}"
    write_atomic(file, text.encode())
    return file


def sweep(environ: Mapping[str, str]) -> None:
    """Remove the files of runs that have ended. Raises StorageError."""
    for file in _directory(environ).glob(f"{_PREFIX}*{_SUFFIX}"):
        number = file.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if not number.isdecimal() or int(number) == os.getpid() or ProcessId.of(int(number)) is None:
            remove(file)


def _directory(environ: Mapping[str, str]) -> Path:
    return own_runtime_directory(environ) or cache_directory() / "run"
