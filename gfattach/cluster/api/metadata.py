"""What every object of Kubernetes says of itself, as far as runners and their controllers need it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from sys import intern
from typing import Any, ClassVar

from msgspec import Struct

from gfattach.cluster.api.fields import items, mapping, name_of, text, texts

#: For what has no date: nothing is older.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Reference(Struct, frozen=True):
    """An object by kind, namespace ("" for one of the cluster) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """`EphemeralRunner arc-runners/nix-x7k2p-runner-9cj4q`."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


class Metadata(Struct, frozen=True):
    """metadata of an object. `owner` is the uid of the controller among its ownerReferences, "" without one.

    `changed` is when its spec was last written (managedFields, without subresources), `created` where they
    do not say.
    """

    namespace: str
    name: str
    uid: str
    created: datetime
    deleted: datetime | None
    owner_kind: str
    owner_name: str
    owner: str
    finalizers: tuple[str, ...]
    version: str
    changed: datetime


class NamespacedObject(Struct, frozen=True):
    """What every object of a namespace has; `KIND` is its kind in the API."""

    KIND: ClassVar[str] = ""

    meta: Metadata

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.meta.name

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return self.meta.namespace

    @property
    def reference(self) -> Reference:
        """It, by kind, namespace and name."""
        return Reference(self.KIND, self.namespace, self.name)


def metadata(document: Mapping[str, Any], *, with_changes: bool = False) -> Metadata:
    """metadata of `document`; `with_changes` reads managedFields too. Raises ClusterError."""
    found = mapping(document, "metadata")
    owner = _controller(found)
    created = moment(text(found, "creationTimestamp")) or NEVER
    finalizers = found.get("finalizers") or ()
    return Metadata(
        intern(name_of(found, "namespace")),
        name_of(found, "name"),
        text(found, "uid"),
        created,
        moment(text(found, "deletionTimestamp")),
        intern(text(owner, "kind")),
        name_of(owner, "name"),
        text(owner, "uid"),
        tuple(intern(str(each)) for each in finalizers),
        intern(texts(found, "labels").get("app.kubernetes.io/version", "")),
        _changed(found, created) if with_changes else created,
    )


def moment(said: str) -> datetime | None:
    """A time of the API (RFC 3339, with or without fractions); None for "" and for what is none."""
    if not said:
        return None
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _controller(found: Mapping[str, Any]) -> Mapping[str, Any]:
    owners = items(found, "ownerReferences")
    return next((each for each in owners if each.get("controller") is True), owners[0] if owners else {})


def _changed(found: Mapping[str, Any], created: datetime) -> datetime:
    times = (
        moment(text(each, "time")) for each in items(found, "managedFields") if not each.get("subresource")
    )
    return max((each for each in times if each is not None), default=created)
