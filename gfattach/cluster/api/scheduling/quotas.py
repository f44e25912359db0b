"""ResourceQuotas and LimitRanges of a namespace, and what a pod needs of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import items, mapping, name_of, text
from gfattach.cluster.api.scheduling.needs import Need
from gfattach.cluster.api.scheduling.quantity import Amounts, amounts, parse

#: What the quota admission says: `exceeded quota: NAME, requested: R, used: U, limited: H`.
_EXCEEDED = re.compile(
    r"exceeded quota: (?P<name>[^,\s]+), requested: (?P<requested>.{1,400}?), used: (?P<used>.{1,400}?),"
    r" limited: (?P<limited>[^\s]{1,400})"
)


class Quota(Struct, frozen=True):
    """A ResourceQuota. `scoped` says that it counts some pods of the namespace only."""

    namespace: str
    name: str
    hard: Amounts
    used: Amounts
    scoped: bool


class Limits(Struct, frozen=True):
    """A LimitRange's largest amounts for one container or one pod."""

    namespace: str
    name: str
    container: Amounts
    pod: Amounts


class Shortage(Struct, frozen=True):
    """A resource of which a quota has less left than one more runner needs."""

    quota: str
    resource: str
    needed: int
    used: int
    hard: int

    @property
    def free(self) -> int:
        """What is left, never below zero."""
        return max(0, self.hard - self.used)


def quota(document: Mapping[str, Any]) -> Quota:
    """A ResourceQuota; what its status does not say yet is what its spec asks for. Raises ClusterError."""
    found, spec, status = (mapping(document, key) for key in ("metadata", "spec", "status"))
    return Quota(
        name_of(found, "namespace"),
        name_of(found, "name"),
        amounts(mapping(status, "hard") or mapping(spec, "hard")),
        amounts(mapping(status, "used")),
        bool(spec.get("scopes") or spec.get("scopeSelector")),
    )


def limits(document: Mapping[str, Any]) -> Limits:
    """A LimitRange. Raises ClusterError."""
    found = mapping(document, "metadata")
    largest = {
        text(each, "type"): amounts(mapping(each, "max"))
        for each in items(mapping(document, "spec"), "limits")
    }
    return Limits(
        name_of(found, "namespace"),
        name_of(found, "name"),
        largest.get("Container", {}),
        largest.get("Pod", {}),
    )


def rows(found: Quota, need: Need) -> Iterator[Shortage]:
    """What one more pod needs of each resource that the quota counts."""
    for resource, hard in found.hard.items():
        needed = _needed(resource, need)
        if needed:
            yield Shortage(found.name, resource, needed, found.used.get(resource, 0), hard)


def short(found: Quota, need: Need) -> tuple[Shortage, ...]:
    """The resources of which the quota has not enough left for one more pod."""
    if found.scoped:
        return ()
    return tuple(row for row in rows(found, need) if row.used + row.needed > row.hard)


def _needed(resource: str, need: Need) -> int:
    if resource in ("pods", "count/pods"):
        return 1000
    if resource in ("persistentvolumeclaims", "count/persistentvolumeclaims"):
        return 1000 * len(need.claims)
    if resource == "requests.storage":
        return sum(each.size for each in need.claims)
    if resource.startswith("limits."):
        return need.limits.get(resource.removeprefix("limits."), 0)
    return need.requests.get(resource.removeprefix("requests."), 0)


def exceeded(message: str) -> Mapping[str, str] | None:
    """The quota's name, what was requested, used and limited, in what the admission says; else None."""
    found = _EXCEEDED.search(message)
    return None if found is None else found.groupdict()


def amount_of(said: str, resource: str) -> int | None:
    """The amount of `resource` in the admission's `requests.cpu=4,requests.memory=8Gi`."""
    pairs = (part.partition("=") for part in said.split(","))
    return next((parse(value) for name, _, value in pairs if name.strip() == resource), None)
