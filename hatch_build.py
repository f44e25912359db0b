"""The part of a build that is this project's own: what the package was built from is written into it.

A source distribution and a wheel get `gfattach/built_from`, a line. It says the commit of this checkout; in
a source tree without git, what `GFATTACH_COMMIT` says (the flake's case). A wheel that is built from a
source distribution has the line of that.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "gfattach/built_from"

#: Digits of a commit that are shown.
DIGITS = 12


def described(root: Path) -> str:
    """The line for the tree at `root`."""
    if named := os.environ.get("GFATTACH_COMMIT"):
        return f"commit {named[:DIGITS]}{' with changes' if named.endswith('-dirty') else ''}"
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", f"--short={DIGITS}", "HEAD")
    if not top or not commit or Path(top).resolve() != root.resolve():
        return "an unknown commit"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"commit {commit}{' with changes' if changed else ''}"


def _git(root: Path, *words: str) -> str:
    """What git says; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


class BuildHook(BuildHookInterface[Any]):
    """Adds the line, unless an editable installation is made or the tree has it already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a distribution is made."""
        root = Path(self.root)
        if version == "editable" or (root / NAME).exists():
            return
        with NamedTemporaryFile("w", encoding="ascii", delete=False) as file:
            file.write(described(root) + "\n")
        Path(file.name).chmod(0o644)
        self.made = Path(file.name)
        build_data["force_include"][file.name] = NAME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the distribution is there."""
        if made := getattr(self, "made", None):
            made.unlink(missing_ok=True)
