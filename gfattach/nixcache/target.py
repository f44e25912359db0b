"""A Nix substituter as something to be asked: its URL, the keys to trust, the paths to ask for."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gfattach.core.endpoint import Endpoint
from gfattach.core.value import Redacted

#: What the probe path is called and holds.
PROBE_NAME = "gfattach-probe-v1"
PROBE_CONTENT = b"gfattach probe v1\n"

#: `builtins.toFile "gfattach-probe-v1" "gfattach probe v1\n"`: the same for everyone whose store is
#: /nix/store. Content-addressed, so it proves the transport and not the key.
PROBE_PATH = "/nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1"


class SubstituterTarget(Redacted, frozen=True):
    """What the substituter probes and proofs are given.

    `endpoint` is http or https, its path included (`/main`); `public_keys` are `name:base64`;
    `signed_path` is an input-addressed store path that the operator published, which proves
    the key; `probe_path` proves the transport. `headers` are never shown. `object_store` is what the
    operator says of the store below the cache: "interim_only", "durable", or nothing. `real_host` is the
    cache's own host where the endpoint is the listener of a forward.
    """

    REDACTED: ClassVar = frozenset({"headers"})

    endpoint: Endpoint
    public_keys: tuple[str, ...] = ()
    probe_path: str = PROBE_PATH
    signed_path: str | None = None
    ca_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    object_store: str | None = None
    real_host: str = ""

    @property
    def interim(self) -> bool:
        """Whether the store below the cache is there for the time being, by what the operator says."""
        return self.object_store == "interim_only"

    @property
    def token_host(self) -> str:
        """The host that a token for this cache is stored for."""
        return self.real_host or self.endpoint.host

    @property
    def behind_forward(self) -> bool:
        """Whether a forward of gfattach's leads to it, so that `gfattach up` is what brings it back."""
        return self.real_host != ""

    @property
    def socket(self) -> Path | None:
        """The unix socket that leads to it: none, because Nix dials TCP alone."""
        return None

    @property
    def token(self) -> str:
        """The token or password that the headers send; empty without one. Never to be shown."""
        values = [value for name, value in self.headers if name.lower() == "authorization"]
        return values[0].partition(" ")[2].strip() if values else ""
