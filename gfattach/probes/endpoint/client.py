"""Which endpoint is asked, and for whom: what the questions to a Bazel cache and to a Nix cache differ in."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from gfattach.core.endpoint import Endpoint
from gfattach.net.route import Route
from gfattach.tls.purpose import Purpose


class Target(Protocol):
    """A cache as something to be asked."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it is, and in which scheme it is spoken to."""

    @property
    def behind_forward(self) -> bool:
        """Whether a forward of gfattach's leads to it."""

    @property
    def socket(self) -> Path | None:
        """The unix socket that leads to it, if one does."""


TargetT = TypeVar("TargetT", bound=Target)


class EndpointClient(Struct, Generic[TargetT], frozen=True):
    """Bazel, or Nix, as a client of endpoints.

    `prefix` is what probes and codes begin with. `first_hop` is whom it dials (host and port: the endpoint,
    or a proxy); `route` leads to the endpoint; `context` verifies its certificate; `path` is what HTTP is
    asked for. `unnamed`, `refused` and `silent` say what it costs the program when the endpoint's name or
    port fails, `mistaken` what it makes of TLS where it speaks plaintext; `setting` is where the endpoint is
    written.
    """

    prefix: str
    purpose: Purpose
    setting: str
    unnamed: str
    refused: str
    silent: str
    mistaken: str
    first_hop: Callable[[TargetT], tuple[str, int]]
    route: Callable[[TargetT], Route]
    context: Callable[[TargetT], ssl.SSLContext]
    path: Callable[[TargetT], str]

    def code(self, end: str) -> str:
        """The code `PREFIX.END`."""
        return f"{self.prefix}.{end}"

    def codes(self, probe: str, meanings: dict[str, str]) -> dict[str, str]:
        """The codes of `probe` by their last words."""
        return {f"{self.prefix}.{probe}.{end}": meaning for end, meaning in meanings.items()}


def where_of(target: Target) -> str:
    """What a sentence calls the endpoint."""
    return f"the socket {target.socket}" if target.socket else target.endpoint.authority


def start_hint(target: Target, setting: str) -> str:
    """What to start, or whom to ask, when nothing is at the end of the route to `target`."""
    if target.behind_forward:
        return "start the forward again: gfattach up"
    endpoint = target.endpoint
    if not endpoint.localhost:
        return f"ask the operator whether the server runs, and at which port ({setting}: gfattach site show)"
    return f"start the server, or the tunnel to it, that listens at {endpoint.authority}; then: gfattach up"
