"""Hazards in the files of a workspace: what there is to look at, read and handed to the contract's rules.

Nothing is changed, and no value of a file is shown. What git cannot tell counts as not tracked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from gfattach.bazel.rc.grammar import demanded
from gfattach.bazel.server.wrapper import WRAPPER
from gfattach.contract.bazel.executor import read_rc_files
from gfattach.contract.hazards.files import (
    LOCAL_FILES,
    envrc_hazards,
    flake_hazards,
    stale_hazards,
    tracked_path_hazards,
    tracked_text_hazards,
    wrapper_hazards,
)
from gfattach.contract.hazards.rc import import_hazard, rc_hazards
from gfattach.contract.localfile import FILE_NAME
from gfattach.contract.nix_state import substituter
from gfattach.core import git
from gfattach.core.errors import StorageError
from gfattach.core.files import read_bytes
from gfattach.core.finding import Finding
from gfattach.core.paths import Home
from gfattach.nix import flake

#: What direnv reads, and what wrappers source.
ENVRC = ".envrc"
_SOURCED = (ENVRC, FILE_NAME)

#: Where wrappers are looked for, as git's patterns, and how many files and bytes of each are read.
_WRAPPERS = (WRAPPER, "*.sh", "*.bash", "*justfile", "*Justfile", "*Makefile")
_MOST_WRAPPERS = 300
_LONGEST = 256 * 1024


def workspace_hazards(home: Home, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Hazards in the files of the workspace of `home`, gfattach's own left out; none outside of any."""
    return () if home.workspace is None else tuple(_hazards(home.workspace, home.directory, environ))


def _hazards(workspace: Path, own: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    files = [
        file for file in read_rc_files(workspace, environ, ()) if own not in (workspace / file.path).parents
    ]
    names = [file.path for file in files if not Path(file.path).is_absolute()]
    tracked = set(git.tracked(workspace, (*names, *_SOURCED, *LOCAL_FILES)))
    yield from rc_hazards([replace(file, tracked=file.path in tracked) for file in files])
    for file in files:
        for line, path in demanded(file.text, workspace):
            if not path.exists():
                yield import_hazard(file, line, _shown(path, workspace))
    yield from tracked_path_hazards(sorted(tracked))
    yield from flake_hazards(_text(workspace / flake.NAME), substituter(environ))
    for name in _SOURCED:
        text = _text(workspace / name)
        if name == ENVRC:
            yield from envrc_hazards(name, text)
        yield from (tracked_text_hazards if name in tracked else stale_hazards)(name, text)
    for name in dict.fromkeys((WRAPPER, *git.tracked(workspace, _WRAPPERS)[:_MOST_WRAPPERS])):
        yield from wrapper_hazards(name, _text(workspace / name))


def _shown(path: Path, workspace: Path) -> str:
    return str(path.relative_to(workspace) if path.is_relative_to(workspace) else path)


def _text(path: Path) -> str:
    try:
        content = read_bytes(path) if path.is_file() and path.stat().st_size <= _LONGEST else None
    except (StorageError, OSError):
        return ""
    return (content or b"").decode("utf-8", "replace")
