"""Backend authority: which store below the caches may be used in which role, by the site's own word.

A store that is `interim_only` is fine for guarded reads and for probes. It is never the authority behind what
somebody trusts: publication to Attic, a CAS, an action cache, state, a registry. Nothing that is measured
promotes a store: a canary that passed, after a restart too, shows that it answered, and not that it keeps.

Pure: the site is given, and no evidence is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from gfattach.core.errors import RefusedError
from gfattach.site.settings import STORE_ROLES, authority_key
from gfattach.site.site import Site

#: Roles that need no durable store.
GUARDED = ("read", "probe")

INTERIM, DURABLE, UNKNOWN = "interim_only", "durable", "unknown"

#: The stores below the site's own caches, and the setting that says what each promises.
_OWN = {"nix": "nix.object_store", "cache": "cache.object_store"}


class Use(Struct, frozen=True):
    """One store in one role. `said_by` is the setting that puts it there, `promise` what the store promises.

    `allowed` says whether it may be used so, `refused` whether its use ends a command; `why` is the reason.
    """

    role: str
    store: str
    promise: str
    said_by: str
    allowed: bool
    refused: bool
    why: str

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def promise_of(store: str, site: Site) -> str:
    """What the store promises: the weaker word counts where two are said."""
    words = {site.get(_OWN[store])} if store in _OWN else set()
    if store in (site.get("authority.interim_only") or ()) or INTERIM in words:
        return INTERIM
    return DURABLE if store in (site.get("authority.durable") or ()) or DURABLE in words else UNKNOWN


def uses(site: Site) -> tuple[Use, ...]:
    """Every use of a store that the site speaks of, by role; a role that nothing is allowed in has none."""
    return tuple(
        _use(role, store, said_by, site)
        for role in STORE_ROLES
        for store, said_by in dict(_said(role, site)).items()
    )


def _said(role: str, site: Site) -> Iterator[tuple[str, str]]:
    key = authority_key(role)
    # What the other settings ask for comes first: a list that says the same takes its place.
    if role in ("cas", "action-cache") and site.may_upload:
        yield "cache", "cache.upload"
    yield from ((store, key) for store in site.get(key) or ())


def _use(role: str, store: str, said_by: str, site: Site) -> Use:
    promise = promise_of(store, site)
    if role in GUARDED:
        return Use(role, store, promise, said_by, True, False, "a guarded use: it needs no durable store")
    if promise == INTERIM:
        why = f"{store} is interim_only: for reads and probes alone, and what it holds may go"
        return Use(role, store, promise, said_by, False, True, why)
    if promise == UNKNOWN:
        why = "nothing says that it is durable: authority.durable"
        return Use(role, store, promise, said_by, False, False, why)
    return Use(role, store, promise, said_by, True, False, "the operator calls it durable")


def demand_authority(site: Site) -> None:
    """Raise RefusedError where the site puts an `interim_only` store in a trusted role."""
    refused = [use for use in uses(site) if use.refused]
    if not refused:
        return
    first = refused[0]
    others = [f"{use.store} as {use.role} (from {site.source(use.said_by)})" for use in refused[1:]]
    raise RefusedError(
        f"{first.store} is interim_only, and {first.said_by} (from {site.source(first.said_by)}) trusts it "
        f"as {first.role}",
        *([f"so with {', '.join(others)}"] if others else []),
        "a canary that passed promotes nothing: only a durable store may be trusted",
        "see the table: gfattach site authority",
        code="site.authority.interim",
    )
