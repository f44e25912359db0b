"""PersistentVolumeClaims and StorageClasses, for volumes that are made with a runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import mapping, name_of, text, texts
from gfattach.cluster.api.metadata import Metadata, metadata

_DEFAULT = "storageclass.kubernetes.io/is-default-class"


class Claim(Struct, frozen=True):
    """A PersistentVolumeClaim; `storage_class` is "" where none is named."""

    meta: Metadata
    phase: str
    storage_class: str


class StorageClass(Struct, frozen=True):
    """A StorageClass; `late` says that a volume is bound only when its pod is scheduled."""

    name: str
    late: bool
    default: bool


def claim(document: Mapping[str, Any]) -> Claim:
    """A PersistentVolumeClaim. Raises ClusterError."""
    spec, status = mapping(document, "spec"), mapping(document, "status")
    return Claim(metadata(document), text(status, "phase"), name_of(spec, "storageClassName"))


def storage_class(document: Mapping[str, Any]) -> StorageClass:
    """A StorageClass. Raises ClusterError."""
    found = mapping(document, "metadata")
    late = text(document, "volumeBindingMode") == "WaitForFirstConsumer"
    return StorageClass(name_of(found, "name"), late, texts(found, "annotations").get(_DEFAULT) == "true")
