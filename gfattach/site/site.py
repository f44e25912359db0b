"""The site itself: a value for each setting, and where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.cluster.connection import ClusterRef
from gfattach.core.endpoint import Endpoint
from gfattach.core.files import write_atomic
from gfattach.nixcache.target import SubstituterTarget
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.site.settings import SETTINGS

#: Where a value that an option gave comes from, and how the source of one from a ConfigMap begins.
OPTION = "an option"
PROFILE_SOURCE = "the ConfigMap "


class Value(Struct, frozen=True):
    """A setting's value; `source` says where it stands (`an option`, a file's path, `the default`)."""

    value: Any
    source: str


class NamedService(Struct, frozen=True):
    """A Service that a site names. `port` is a name or a number, None where nobody said it."""

    namespace: str
    name: str
    port: str | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" + (f":{self.port}" if self.port else "")


class Site(Struct, frozen=True):
    """A value for each setting that has one, by key."""

    values: Mapping[str, Value]

    def get(self, key: str) -> Any:
        """The value of the setting `key`, None when nothing says it."""
        found = self.values.get(key)
        return None if found is None else found.value

    def source(self, key: str) -> str:
        """Where the value of `key` came from; "nowhere" when nothing says it."""
        found = self.values.get(key)
        return "nowhere" if found is None else found.source

    @property
    def may_upload(self) -> bool:
        """Whether the operator lets this lane write to the cache."""
        return bool(self.get("cache.upload") == "trusted")

    @property
    def cluster(self) -> ClusterRef:
        """The cluster of the site, before anything of it is read."""
        kubeconfig = self.get("cluster.kubeconfig")
        return ClusterRef(
            None if kubeconfig is None else (kubeconfig,),
            self.get("cluster.context"),
            self.get("cluster.namespace"),
        )

    def service(self, section: str) -> NamedService | None:
        """The Service of `section` ("cache" or "nix") that a forward leads to; None where none is named.

        With an endpoint beside it the endpoint is its real name; without one the forward is spoken to
        in plaintext.
        """
        name = self.get(f"{section}.service")
        if name is None:
            return None
        namespace = self.get(f"{section}.namespace") or self.get("cluster.namespace")
        return NamedService(namespace, name, self.get(f"{section}.service_port"))

    def with_authorities(self, directory: Path) -> Site:
        """The site with each authority that stands in it as text in a file of `directory` instead.

        Raises StorageError.
        """
        values = dict(self.values)
        for section in ("cache", "nix"):
            found = values.pop(f"{section}.ca_data", None)
            if found is not None:
                path = directory / f"{section}-ca.pem"
                write_atomic(path, found.value.encode())
                values[f"{section}.ca_file"] = replace(found, value=path)
        return replace(self, values=values)

    def cache_target(self, *, upload: bool = False) -> CacheTarget | None:
        """The Bazel cache that the site names by an endpoint, writable when asked for and allowed."""
        endpoint = self.get("cache.endpoint")
        if endpoint is None:
            return None
        return CacheTarget(
            endpoint=endpoint,
            instance_name=self.get("cache.instance") or "",
            may_write=upload and self.may_upload,
            tls=TlsFiles(ca_file=self.get("cache.ca_file")),
        )

    def substituter_target(self) -> SubstituterTarget | None:
        """The Nix binary cache that the site names by an endpoint."""
        endpoint = self.get("nix.substituter")
        if endpoint is None:
            return None
        return SubstituterTarget(
            endpoint=endpoint,
            public_keys=self.get("nix.public_keys") or (),
            signed_path=self.get("nix.signed_path"),
            ca_file=self.get("nix.ca_file"),
            object_store=self.get("nix.object_store"),
        )

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Every setting that has a value, with its source, by key."""
        return {
            setting.key: {"value": as_raw(found.value), "source": found.source}
            for setting in SETTINGS
            if (found := self.values.get(setting.key)) is not None
        }


def as_raw(value: Any) -> Any:
    """A value as JSON and TOML have it."""
    if isinstance(value, Endpoint):
        return value.url
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
