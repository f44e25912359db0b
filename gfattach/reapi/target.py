"""A Bazel remote cache as something to be asked: the endpoint, the instance, and how to reach it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from gfattach.core.endpoint import Endpoint
from gfattach.core.value import Redacted


class TlsFiles(Struct, frozen=True):
    """PEM files for a TLS endpoint; None means the platform's trust store, and no client certificate."""

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class CacheTarget(Redacted, frozen=True):
    """What the cache probes and proofs are given.

    `endpoint` is what is dialled and, for TLS, the name that is verified; `socket` is a unix
    socket that leads to it, where there is one; `headers` go with every call and are never
    shown. `real_host` is the cache's own host where the endpoint is the listener of a forward.
    """

    REDACTED: ClassVar = frozenset({"headers"})

    endpoint: Endpoint
    instance_name: str = ""
    may_write: bool = False
    tls: TlsFiles = TlsFiles()
    socket: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    real_host: str = ""

    @property
    def token_host(self) -> str:
        """The host that a token for this cache is stored for."""
        return self.real_host or self.endpoint.host

    @property
    def behind_forward(self) -> bool:
        """Whether a forward of gfattach's leads to it, so that `gfattach up` is what brings it back."""
        return self.real_host != "" or self.socket is not None
