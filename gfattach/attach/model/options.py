"""What a user asks of an attach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gfattach.fragments.bazelrc import OnCacheDown
from gfattach.trial.state import DEFAULT_MAX_BYTES

#: Hours without a build after which an agent ends, unless an option says otherwise.
LEASE_HOURS = 12.0


class ClientOptions(Struct, frozen=True):
    """Which programs to prove with. A path given by a person has to be there; None means look for it."""

    bazel: str | None = None
    nix: str | None = None
    use_bazel: bool = True
    use_nix: bool = True

    @property
    def left_out(self) -> tuple[str, ...]:
        """The programs, by name, that are not to be proved with."""
        return tuple(name for name, used in (("bazel", self.use_bazel), ("nix", self.use_nix)) if not used)


class TrialOptions(Struct, frozen=True):
    """The embedded caches: ports (None: any free one, the last one first) and size in bytes."""

    bazel_port: int | None = None
    nix_port: int | None = None
    max_bytes: int = DEFAULT_MAX_BYTES


class UpOptions(Struct, frozen=True):
    """One `gfattach up`.

    `site` holds settings given as options, by key; the lease is the agent's; `nix_paths` are store paths to
    realise besides those that the site publishes. `allow_plaintext_loopback` lets a Bazel that cannot do what
    a TLS cache needs speak in plaintext to a forward on 127.0.0.1, which does TLS for it. `allow_site` allows
    what the workspace's files say, `accept_site` what the operator's ConfigMap has come to say; `ask_site`
    asks a person whether to accept the latter, given in lines, where there is one to be asked.
    """

    workspace: Path | None = None
    trial: TrialOptions | None = None
    clients: ClientOptions = ClientOptions()
    site: Mapping[str, Any] = field(default_factory=dict)
    link: bool = False
    on_cache_down: OnCacheDown = "local"
    require_hit: bool = False
    lease_hours: float = LEASE_HOURS
    nix_paths: tuple[str, ...] = ()
    allow_plaintext_loopback: bool = False
    allow_site: bool = False
    accept_site: bool = False
    ask_site: Callable[[Sequence[str]], bool] | None = None
