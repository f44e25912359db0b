"""What a repository says, allowed once by its user before anything of it is contacted, run or trusted.

Files of a workspace decide what gfattach does there: `gfattach.toml` (addresses, keys, a kubeconfig, whose
plugin runs), and what has launchers run another program than a released Bazel (`tools/bazel` and its kind,
settings in `.bazeliskrc`, a fork in `.bazelversion`). Each is allowed by its content, as direnv does it: when
it changes, it is asked about anew. What the user's own configuration says needs none of that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.errors import RefusedError
from gfattach.core.files import read_bytes
from gfattach.core.paths import Home, find_workspace, resolve_home, state_directory
from gfattach.core.quote import command, visible
from gfattach.core.trust import allowed
from gfattach.site.document import raw_values, read_tables

FILE_NAME = "gfattach.toml"

#: Settings of a file that decide nothing: what a site is called, and an executor, which is only ever refused.
INERT = frozenset({"site.name", "executor.endpoint"})

#: Characters of a value that a person is shown.
_SHOWN = 200


class Pending(Struct, frozen=True):
    """A file of a workspace that is not allowed as it is now. `said` is what it decides, a line each."""

    name: str
    digest: str
    said: Sequence[str]


def pending(workspace: Path) -> tuple[Pending, ...]:
    """The files of `workspace` that are not allowed. Raises StorageError."""
    known = allowed.read(state_directory(), workspace)
    found = (_site(workspace), *_launched(workspace))
    return tuple(item for item in found if item is not None and known.digests.get(item.name) != item.digest)


def allowed_home(workspace: Path | None, cwd: Path) -> Home:
    """As `resolve_home`, for a user who allows the workspace, whoever else may write to it."""
    try:
        return resolve_home(workspace, cwd)
    except RefusedError as error:
        root = find_workspace(cwd.resolve()) if workspace is None else workspace.resolve()
        if error.code != "trust.workspace" or root is None:
            raise
        _trust_directory(root)
        return resolve_home(workspace, cwd)


def allow(workspace: Path) -> tuple[Pending, ...]:
    """Allow the files of `workspace` as they are now; those that were not allowed. Raises StorageError."""
    asked = pending(workspace)
    known = allowed.read(state_directory(), workspace)
    if asked:
        digests = {**known.digests, **{item.name: item.digest for item in asked}}
        allowed.write(state_directory(), workspace, allowed.Allowed(known.directory, digests))
    return asked


def _trust_directory(workspace: Path) -> None:
    """Trust what is in `workspace` though another user may write there. Raises StorageError."""
    known = allowed.read(state_directory(), workspace)
    allowed.write(state_directory(), workspace, allowed.Allowed(True, known.digests))


def disallow(workspace: Path) -> bool:
    """Allow nothing of `workspace` any more; whether anything was. Raises StorageError."""
    return allowed.forget(state_directory(), workspace)


def demand_site(workspace: Path, content: bytes | None = None) -> None:
    """Raise RefusedError (`site.unallowed`) unless the site's file of `workspace`, which holds `content`
    (None for no such file), may be gone by.
    """
    found = None if content is None else _said_in(workspace, content)
    if (
        found is not None
        and allowed.read(state_directory(), workspace).digests.get(FILE_NAME) != found.digest
    ):
        raise _unallowed(workspace, found)


def demand_wrapper(workspace: Path | None) -> None:
    """Raise RefusedError (`site.unallowed`) where a launcher would run another program than a released Bazel,
    because of a file that is not allowed.
    """
    if workspace is None or not (found := _launched(workspace)):
        return
    known = allowed.read(state_directory(), workspace).digests
    for item in found:
        if known.get(item.name) != item.digest:
            raise _unallowed(workspace, item, "or attach without Bazel: gfattach up --no-bazel")


def said_by(values: Mapping[str, Any]) -> tuple[str, ...]:
    """What raw values decide, a line each, as a person is shown it."""
    return tuple(f"{key} = {_shown(value)}" for key, value in values.items() if key not in INERT)


def _unallowed(workspace: Path, found: Pending, *hints: str) -> RefusedError:
    return RefusedError(
        f"{workspace / found.name} came with the workspace, and nobody has allowed what it says",
        *found.said,
        "in a job, where no user is asked: gfattach up --allow-site",
        f"if that is what you want: {command('gfattach', 'site', 'allow', '--workspace', workspace)}",
        *hints,
        code="site.unallowed",
    )


def _site(workspace: Path) -> Pending | None:
    content = read_bytes(workspace / FILE_NAME)
    return None if content is None else _said_in(workspace, content)


def _said_in(workspace: Path, content: bytes) -> Pending | None:
    values = raw_values(read_tables(content, str(workspace / FILE_NAME)), str(workspace / FILE_NAME))
    if INERT.issuperset(values):
        return None
    return Pending(FILE_NAME, allowed.digest(content), said_by(values))


def _launched(workspace: Path) -> tuple[Pending, ...]:
    from gfattach.bazel.program.bazelisk import picked_by

    found = []
    for path, said in picked_by(workspace).items():
        content = read_bytes(path)
        if content is not None:
            name = os.path.relpath(path, workspace)
            found.append(Pending(name, allowed.digest(content), tuple(map(visible, said))))
    return tuple(found)


def _shown(value: Any) -> str:
    said = visible(repr(value))
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
