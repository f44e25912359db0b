"""Links that a Bazel leaves in a workspace, and what they do to a build with another output base.

A Bazel leaves `bazel-NAME` beside the sources, which leads to its execution root. It knows its own and passes
it by; one with another output base follows it for `//...`, and fails at the packages of Bazel's own tools
that are there (seen with 4.2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from gfattach.core.quote import command
from gfattach.proof.evidence import Phase


def with_remedy(phase: Phase, workspace: Path, labels: Sequence[str]) -> Phase:
    """`phase`, and if it failed and such a link may be why, what to do about that."""
    links = execution_roots(workspace) if phase.violations and any(map(_takes_all, labels)) else []
    if not links:
        return phase
    named = " and ".join(links)
    remedies = (
        f"//... takes in {named}, which your own Bazel left: name the packages, as in //app/...",
        f"or remove it first; the next build makes it anew: rm {command(*links)}",
    )
    return replace(phase, detail={**phase.detail, "remedies": remedies})


def execution_roots(workspace: Path) -> list[str]:
    """The links in `workspace` that lead to the execution root of a Bazel, by name."""
    return sorted(
        entry.name
        for entry in workspace.iterdir()
        if entry.is_symlink() and entry.readlink().parent.name == "execroot"
    )


def _takes_all(label: str) -> bool:
    return label.removeprefix("@").removeprefix("//").startswith("...")
