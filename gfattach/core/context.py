"""What a command is handed of the process that it runs in: the command line makes it, once.

Nothing below the command line asks the process itself, so that what decides a command's work is in its
arguments, and a test can say all of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct

from gfattach.core.errors import UsageError

if TYPE_CHECKING:
    from gfattach.core.paths import Home


class Context(Struct, frozen=True):
    """The environment as it was at the start, the working directory (None: it is gone), and the streams."""

    environ: Mapping[str, str]
    directory: Path | None
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO

    @classmethod
    def of_process(cls) -> Context:
        """This process's own."""
        try:
            directory = Path.cwd()
        except OSError:
            directory = None  # what needs it says so
        return cls(dict(os.environ), directory, sys.stdin, sys.stdout, sys.stderr)

    @property
    def cwd(self) -> Path:
        """The working directory. Raises UsageError when it is gone."""
        if self.directory is None:
            raise UsageError(
                "the current directory is gone", "go to one that is there, and call gfattach again: cd"
            )
        return self.directory

    def home(self, workspace: Path | None) -> Home:
        """The home of an attachment, as `resolve_home` finds it. Raises UsageError."""
        from gfattach.core.paths import resolve_home  # asks git: `--version` and `--help` need no home

        return resolve_home(workspace, self.cwd if workspace is None else workspace)
