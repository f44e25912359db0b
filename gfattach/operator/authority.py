"""`site authority`: which store may be used in which role, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.contract.environment import detached
from gfattach.core.context import Context
from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode
from gfattach.core.finding import Finding, fail, ok, warn
from gfattach.site.authority import GUARDED, Use, uses
from gfattach.site.cluster_profile import ask_cluster_for_profile
from gfattach.site.load import load_site
from gfattach.site.settings import STORE_ROLES


class BackendAuthority(Struct, frozen=True):
    """Every use of a store that the site speaks of."""

    uses: tuple[Use, ...]

    @property
    def exit_code(self) -> ExitCode:
        """3 where a use is refused: what attaches, proves or publishes ends with that."""
        return ExitCode.REFUSED if any(use.refused for use in self.uses) else ExitCode.GOOD

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """For a table: role, store, what it promises, the answer, why."""
        for role in STORE_ROLES:
            held = [use for use in self.uses if use.role == role]
            for use in held:
                yield role, use.store, use.promise, "yes" if use.allowed else "no", use.why
            if not held:
                why = "the site allows no store in it" if role not in GUARDED else "the site names no store"
                yield role, "-", "-", "no", why

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        roles = {role: any(use.allowed for use in self.uses if use.role == role) for role in STORE_ROLES}
        return {"roles": roles, "uses": [use.as_json() for use in self.uses]}


def show_authority(
    workspace: Path | None,
    options: Mapping[str, Any],
    context: Context,
    run: Run,
    *,
    ask_cluster: bool = False,
) -> BackendAuthority:
    """The table for the site around `workspace`.

    Raises UsageError, and when the cluster is asked ClusterError, and RefusedError (`site.unallowed`).
    """
    home, environment = context.home(workspace), detached(context.environ)
    # With the cluster it is gone by: a kubeconfig that a workspace names has to be allowed.
    site = load_site(options, environment, home.workspace, look_only=not ask_cluster)
    if ask_cluster:
        profile = ask_cluster_for_profile(site)
        site = load_site(options, environment, home.workspace, profile)
    found = BackendAuthority(uses(site))

    def show(progress: object) -> Mapping[str, Finding]:
        return dict(_findings(found))

    run.step("authority", "which store may be used in which role", show)
    return found


def _findings(found: BackendAuthority) -> Iterator[tuple[str, Finding]]:
    for use in found.uses:
        key = f"authority.{use.role}.{use.store}"
        seen = f"{use.role}: {use.store} ({use.promise}, from {use.said_by})"
        if use.refused:
            yield key, fail("site.authority.interim", seen, use.why, "name a durable store, or none")
        elif not use.allowed:
            yield key, warn("site.authority.unknown", seen, use.why)
        else:
            yield key, ok("site.authority.allowed", seen)
    if not found.uses:
        yield "authority", ok("site.authority.none", "the site speaks of no store")
