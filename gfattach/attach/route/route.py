"""A route: where the caches of an attachment are, before and after its forwards are open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.exec_cache import ExecCredential
from gfattach.contract.rules.executor import executor_reasons
from gfattach.core.errors import RefusedError
from gfattach.core.value import Redacted
from gfattach.nixcache.target import SubstituterTarget
from gfattach.proof.protocol import probe_action
from gfattach.reapi.http_client import path_of as cache_path
from gfattach.reapi.target import CacheTarget
from gfattach.site.site import Site
from gfattach.site.trusted import Trusted

if TYPE_CHECKING:
    from gfattach.trial.state import TrialState


class Route(Redacted, frozen=True):
    """`kind` is "trial", "direct" or "forward". `fills` says that this environment may fill the cache itself.

    `cluster` is the cluster of a forward, `cache_forward` and `nix_forward` what its agent is to hold; a
    target behind one is led through it by `forwards.lead_through`. `plain_forward` is one that ends the
    cache's TLS, where somebody allows that; it takes the place of `cache_forward` for a Bazel that needs it.
    `cache_listener` is where the cache's forward takes TCP connections, once it does, and `cache_socket` the
    unix socket that leads to a gRPC cache without TLS beside it. `exec_credential` is what an exec plugin has
    handed out for the cluster; `trusted` is what the site has this machine trust.
    """

    REDACTED: ClassVar = frozenset({"exec_credential"})

    kind: str
    cache: CacheTarget | None
    substituter: SubstituterTarget | None
    fills: bool = False
    trial_directory: Path | None = None
    cluster: ClusterRef | None = None
    cache_forward: ForwardSpec | None = None
    nix_forward: ForwardSpec | None = None
    plain_forward: ForwardSpec | None = None
    cache_listener: tuple[str, int] | None = None
    cache_socket: Path | None = None
    exec_credential: ExecCredential | None = None
    trusted: tuple[Trusted, ...] = ()

    @property
    def forwards(self) -> tuple[ForwardSpec, ...]:
        """What an agent has to listen for."""
        return tuple(spec for spec in (self.cache_forward, self.nix_forward) if spec is not None)

    @property
    def listens(self) -> bool:
        """Whether an agent has to listen for it."""
        return bool(self.forwards)

    @property
    def endpoints(self) -> dict[str, str]:
        """What is dialled, by what it is: for a proof."""
        targets = {"cache": self.cache, "substituter": self.substituter}
        return {name: target.endpoint.url for name, target in targets.items() if target is not None}


def trial_route(state: TrialState, directory: Path) -> Route:
    """The route to embedded caches that run."""
    cache = CacheTarget(endpoint=state.cache_endpoint, may_write=True)
    substituter = SubstituterTarget(
        endpoint=state.nix_endpoint,
        public_keys=(state.public_key,),
        probe_path=state.probe_path,
        signed_path=state.signed_path,
    )
    return Route("trial", cache, substituter, fills=True, trial_directory=directory)


def read_only(target: CacheTarget) -> CacheTarget:
    """The same cache for somebody who only reads."""
    return replace(target, may_write=False)


def cache_health(target: CacheTarget) -> Health:
    """How a Bazel cache is asked for its health."""
    endpoint = target.endpoint
    return Health(
        "grpc" if endpoint.grpc else "http",
        "" if endpoint.grpc else cache_path(target, f"ac/{probe_action().action.hash}"),
        endpoint.tls,
        endpoint.host if endpoint.tls else "",
        target.tls.ca_file,
        endpoint.authority if endpoint.tls else "",
    )


def watch(target: SubstituterTarget) -> ForwardSpec:
    """A substituter that is dialled directly, asked for its health and not forwarded."""
    endpoint = target.endpoint
    health = Health("nix", endpoint.path, endpoint.tls, endpoint.host, target.ca_file, endpoint.authority)
    return ForwardSpec(endpoint.url, DirectUpstream(endpoint.host, endpoint.port), health, listen=False)


def ending_tls(target: CacheTarget | None, spec: ForwardSpec | None) -> ForwardSpec | None:
    """The forward that ends the TLS of a cache: to where its forward `spec` leads, or else to its endpoint.
    None for a cache without TLS.
    """
    if target is None or not target.endpoint.tls:
        return None
    endpoint = target.endpoint
    if spec is None:
        spec = ForwardSpec(endpoint.url, DirectUpstream(endpoint.host, endpoint.port), cache_health(target))
    return replace(spec, name=f"{spec.name}, TLS ended", ends_tls=True)


def refuse_executor(site: Site, environment: Mapping[str, str], *, proves_bazel: bool) -> None:
    """Raise RefusedError when the site names an executor, or the environment asks for one.

    What is attached and proved here is a cache: with an executor in reach, a hit would prove
    nothing, and a build might leave this machine. An environment that is executor-backed by the
    contract but names no executor is refused where a Bazel proves (`proves_bazel`): Nix and the bare
    protocol could use none.
    """
    for reason in executor_reasons(environment):
        if proves_bazel or reason.code == "contract.no-executor.endpoint":
            raise RefusedError(reason.seen, reason.why, *reason.hints, code=reason.code)
    refuse_site_executor(site)


def refuse_site_executor(site: Site) -> None:
    """Raise RefusedError when the site names an executor."""
    if site.get("executor.endpoint") is not None:
        named = site.source("executor.endpoint")
        raise RefusedError(
            f"{named} names a remote executor, and this attaches to a cache alone",
            f"remove it from {named}",
            code="executor.configured",
        )
