"""The launcher of Bazel's packages: a shell script that ends in the Bazel that it finds.

It takes as long as that Bazel's client does for a command of a server that runs (0.03 s of 0.05, of which
an attach makes ten). What it found for a workspace of ours does not change while the server runs, so the
client is called itself once it is known: as the process that the script became.
"""

from __future__ import annotations

import os
from pathlib import Path

#: The last line of the script, by which it is known: a wrapper of another kind is called as it is.
_LAST_LINE = b'exec -a "$0" "${BAZEL_REAL}" "$@"'

#: No such script is longer.
_BYTES = 64 * 1024


def is_launcher(program: Path) -> bool:
    """Whether `program` is that script. Never raises."""
    try:
        with program.open("rb") as file:
            text = file.read(_BYTES)
    except OSError:
        return False
    return text.startswith(b"#!") and text.rstrip().endswith(_LAST_LINE)


def became(pid: int) -> Path | None:
    """The Bazel that the process of a launcher, one of `process.listed`, has become; None where it is none,
    or cannot be seen.
    """
    try:
        found = Path(f"/proc/{pid}/exe").readlink()
    except OSError:
        return None
    return found if found.name.startswith("bazel") and os.access(found, os.X_OK) else None
