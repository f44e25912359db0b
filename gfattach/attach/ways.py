"""The ways in: how an attachment reaches its caches.

A way yields two targets, either of which may be missing. The trial's caches run beside the
attachment; a direct site's are dialled as they are named; those in a cluster are reached through
forwards (`cluster_way`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gfattach.agent.spec import DirectUpstream, ForwardSpec, Health
from gfattach.attach.options import UpOptions
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.resolve import find_files
from gfattach.deadline import Deadline
from gfattach.engine import Run
from gfattach.errors import ClusterError, RefusedError, UsageError
from gfattach.finding import Finding, ok
from gfattach.firsthit.protocol import probe_action
from gfattach.nixcache.target import SubstituterTarget
from gfattach.paths import Home
from gfattach.reapi.http_client import path_of as cache_path
from gfattach.reapi.target import CacheTarget
from gfattach.site.load import FILE_NAME
from gfattach.site.site import Site

if TYPE_CHECKING:
    from gfattach.trial.state import TrialState

#: Seconds that the embedded caches may take to be ready.
TRIAL_SECONDS = 15.0


@dataclass(frozen=True)
class Way:
    """`kind` is "trial", "direct" or "forward". `fills` says that this lane may fill the cache itself.

    `cluster` is the cluster of a forward, `cache_forward` and `nix_forward` what its agent is to hold; a
    target behind one is led through it by `forwards.open_forwards`. `plain_forward` is one that ends the
    cache's TLS, where somebody allows that; it takes the place of `cache_forward` for a Bazel that needs it.
    `cache_listener` is where the cache's forward takes TCP connections, once it does.
    """

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

    @property
    def listens(self) -> bool:
        """Whether an agent has to listen for it."""
        return self.cache_forward is not None or self.nix_forward is not None


def kind_of(options: UpOptions, site: Site) -> str:
    """The kind of way that `options` and what is said of the site ask for.

    A cluster is meant when something names it or a Service in it, and when nothing names an endpoint
    and there is a kubeconfig. Raises UsageError when there is nothing at all to go by.
    """
    if options.trial is not None:
        return "trial"
    said = ("cache.service", "nix.service", "cluster.kubeconfig", "cluster.context")
    if any(site.get(key) is not None for key in said):
        return "forward"
    if site.get("cache.endpoint") is not None or site.get("nix.substituter") is not None:
        return "direct"
    try:
        find_files(site.cluster)
    except ClusterError as error:
        raise UsageError(
            f"nothing says where the caches are, and {error.fact}",
            "to try gfattach without any: gfattach up --trial",
            "to go into a cluster: gfattach up --kubeconfig FILE",
            "or name the caches: gfattach up --cache grpc://HOST:PORT --substituter https://HOST/CACHE",
            f"or describe the site in {FILE_NAME}: gfattach help site",
            code="site.empty",
        ) from None
    return "forward"


def find_way(options: UpOptions, site: Site, home: Home, run: Run) -> Way:
    """The way of `kind_of` these.

    Raises UsageError for what does not fit together, ClusterError when the cluster does not pass its
    probes, and RefusedError when something names an executor.
    """
    refuse_executor(site=site)
    kind = kind_of(options, site)
    if kind == "trial":
        return _trial(options, home, run)
    if kind == "forward":
        from gfattach.attach.cluster_way import cluster_way

        return cluster_way(options, site, home, run)
    site = site.with_authorities(home.directory)
    cache = site.cache_target()
    plain = ending_tls(cache, None) if options.allow_plaintext_loopback else None
    way = Way("direct", cache, site.substituter_target(), plain_forward=plain)
    run.step("site", "read what is said of the site", lambda progress: {"site": _describe(way, site)})
    return way


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


def refuse_executor(environment: Mapping[str, str] | None = None, site: Site | None = None) -> None:
    """Raise RefusedError when the environment or the site names an executor.

    What is attached and proved here is a cache: with an executor in reach, a hit would prove
    nothing, and a build might leave this machine.
    """
    value = (os.environ if environment is None else environment).get("BAZEL_REMOTE_EXECUTOR", "")
    named = "the variable BAZEL_REMOTE_EXECUTOR" if value else None
    if named is None and site is not None and site.get("executor.endpoint") is not None:
        named = site.source("executor.endpoint")
    if named is not None:
        raise RefusedError(
            f"{named} names a remote executor, and this attaches to a cache alone",
            "take it away for this shell: unset BAZEL_REMOTE_EXECUTOR"
            if value
            else f"remove it from {named}",
            code="executor.configured",
        )


def _describe(way: Way, site: Site) -> Finding:
    named = [
        f"{what} {target.endpoint.url} (from {site.source(key)})"
        for what, target, key in (
            ("cache", way.cache, "cache.endpoint"),
            ("substituter", way.substituter, "nix.substituter"),
        )
        if target is not None
    ]
    return ok("site.direct", " · ".join(named), site=site.as_json())


def _trial(options: UpOptions, home: Home, run: Run) -> Way:
    from gfattach.trial import supervisor

    assert options.trial is not None
    trial = options.trial
    found: list[TrialState] = []

    def start(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        state = supervisor.start(
            home.trial,
            bazel_port=trial.bazel_port,
            nix_port=trial.nix_port,
            max_bytes=trial.max_bytes,
            deadline=Deadline.after(TRIAL_SECONDS),
        )
        found.append(state)
        seen = f"embedded caches at {state.cache_endpoint.url} and {state.nix_endpoint.url}"
        return {"trial": ok("trial.started", seen, pid=state.process.pid)}

    run.step("trial", "start the embedded caches", start)
    return trial_way(found[0], home.trial)


def trial_way(state: TrialState, directory: Path) -> Way:
    """The way to embedded caches that run."""
    cache = CacheTarget(endpoint=state.cache_endpoint, may_write=True)
    substituter = SubstituterTarget(
        endpoint=state.nix_endpoint,
        public_keys=(state.public_key,),
        probe_path=state.probe_path,
        signed_path=state.signed_path,
    )
    return Way("trial", cache, substituter, fills=True, trial_directory=directory)


def read_only(target: CacheTarget) -> CacheTarget:
    """The same cache for somebody who only reads."""
    return replace(target, may_write=False)
