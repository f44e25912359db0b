"""Where a proof comes from: the run, the repository, the commit, and who allowed the checkout."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.git import Checkout, checkout_of
from gfattach.core.redact import redact


class Run(Struct, frozen=True):
    """The run that proves: a workflow's, or one on a developer's machine, whose number is random."""

    id: str
    attempt: int
    url: str | None
    source: str


def run_of(environ: Mapping[str, str]) -> Run:
    """The run of this process."""
    identifier = environ.get("GITHUB_RUN_ID", "")
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "")
    if environ.get("GITHUB_ACTIONS") != "true" or not (identifier.isdigit() and attempt.isdigit()):
        return Run(str(secrets.randbelow(9 * 10**11) + 10**11), 1, None, "local")
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    url = f"{server}/{repository}/actions/runs/{identifier}" if server and repository else None
    return Run(identifier, int(attempt), url, "github-actions")


def repository_of(workspace: Path, environ: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """What the evidence says of the repository, and the workspace's path in it."""
    checkout = checkout_of(workspace) or Checkout(None, None, None, None)
    name = environ.get("GITHUB_REPOSITORY") or checkout.remote
    path = "."
    if checkout.root is not None and workspace.resolve() != checkout.root.resolve():
        path = str(workspace.resolve().relative_to(checkout.root.resolve()))
    said = {
        "name": None if not name else redact(name),
        "commit": checkout.commit,
        "modified": checkout.modified,
    }
    return said, path


def moment(at: datetime) -> str:
    """A moment as the evidence has it: UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
