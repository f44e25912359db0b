"""`site allow`: what a workspace's own files say, shown and allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.context import Context
from gfattach.core.engine import Run
from gfattach.core.errors import UsageError
from gfattach.core.finding import Finding, ok
from gfattach.core.paths import find_workspace
from gfattach.core.quote import visible
from gfattach.site.allow import Pending, allow, allowed_home, disallow, pending


class AllowedSite(Struct, frozen=True):
    """What `site allow` came to: the files that were allowed by it, or that all of it was forgotten."""

    workspace: Path
    files: Sequence[Pending]
    forgotten: bool = False

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        files = [{"name": item.name, "sha256": item.digest, "said": list(item.said)} for item in self.files]
        return {"workspace": str(self.workspace), "forgotten": self.forgotten, "allowed": files}


def allow_site(workspace: Path | None, context: Context, run: Run, *, forget: bool = False) -> AllowedSite:
    """Allow the files of the workspace as they are now, or nothing of it. Raises UsageError, StorageError and
    RefusedError for a workspace that no command works in, whatever its user allows.
    """
    root = find_workspace(context.cwd.resolve()) if workspace is None else workspace.resolve()
    if root is None:
        raise UsageError("there is no workspace here", "name one: gfattach site allow --workspace DIRECTORY")
    if not root.is_dir():
        raise UsageError(f"the workspace {root} is not a directory", "name an existing one")
    run.account("start", "start, and find the workspace")
    if forget:
        return AllowedSite(root, (), disallow(root))
    allowed_home(root, root)
    done: list[Pending] = []

    def work(progress: object) -> Mapping[str, Finding]:
        done.extend(allow(root))
        return {
            item.name: ok(
                "site.allowed", f"{root / item.name} is allowed: {' · '.join(map(visible, item.said))}"
            )
            for item in done
        } or {"site": ok("site.allowed", f"{root} is allowed as it is")}

    run.step("allow", f"allow what is in {root}", work)
    return AllowedSite(root, tuple(done))


def asked_of(workspace: Path | None, context: Context) -> tuple[str, ...]:
    """What the user is asked to allow before an attach of the workspace, in lines; nothing where that is
    nothing.

    Raises GfattachError where the workspace cannot be worked in.
    """
    home = context.home(workspace)
    if home.workspace is None:
        return ()
    found = pending(home.workspace)
    return tuple(
        line
        for item in found
        for line in (
            f"{visible(str(home.workspace / item.name))} says:",
            *(f"  {said}" for said in item.said),
        )
    )
