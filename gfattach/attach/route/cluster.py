"""The way through a cluster: ask it, read what its operator published, choose the Services, plan forwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream
from gfattach.attach.model.options import UpOptions
from gfattach.attach.nix import token as nix_token
from gfattach.attach.route.route import Route, cache_health, ending_tls, refuse_site_executor
from gfattach.cluster.api.client import Api, ApiError
from gfattach.cluster.api.endpoint_selection import shown
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.objects import Service
from gfattach.cluster.api.services import find_service, list_services
from gfattach.cluster.connection import ClusterRef
from gfattach.contract.environment import detached
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run, StageResult
from gfattach.core.errors import ClusterError, UsageError
from gfattach.core.finding import Finding, Status, ok
from gfattach.core.paths import Home
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.certificates import stage as certificates
from gfattach.probes.certificates.subject import Purpose, of_api_server
from gfattach.probes.cluster import rights as cluster_rights
from gfattach.probes.cluster import stage as cluster_probes
from gfattach.probes.cluster.subject import ClusterSubject
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.site.cluster_profile import source_of
from gfattach.site.discover import Chosen, Half, discover, nothing_found, select_endpoint
from gfattach.site.load import load_site
from gfattach.site.profile import parse_profile
from gfattach.site.site import Site

#: Seconds for reading the Services.
SERVICES_SECONDS = 5.0

#: What a target behind a forward is dialled at before the forward is there.
_LATER = ("127.0.0.1", 0)


def cluster_route(options: UpOptions, site: Site, home: Home, run: Run) -> Route:
    """Ask the cluster of `site` and plan the forwards into it; nothing is opened yet.

    Raises ClusterError when the cluster does not pass its probes, UsageError for a site that does not fit
    it, RefusedError for one that names an executor, and StorageError.
    """
    subject = ClusterSubject(site.cluster, profile=site.get("cluster.profile"))
    asked = _passed(_ask(subject, run))
    site = _published(options.site, site, home, asked).with_authorities(home.directory)
    refuse_site_executor(site)
    plan = _Plan(site, {})

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        try:
            return _select_endpoint(plan, subject.api)
        except ApiError as error:
            if error.status != 403:
                raise
            user = asked.findings["cluster.identity"].data.get("user") or ""
            namespace, deadline = plan.asked, Deadline.after(SERVICES_SECONDS)
            raise cluster_rights.refused(subject.api, namespace, user, error, deadline) from error

    run.step("discover", "find the caches among the Services", work)
    forwards = [spec for spec in (plan.cache_forward(), plan.nix_forward()) if spec is not None]
    routes = [(spec.upstream, spec.health) for spec in forwards if isinstance(spec.upstream, PodUpstream)]
    names = {shown(route): health.server_name for route, health in routes if health.tls}
    serving = subject.serving(*(route for route, _ in routes), names=names)
    _passed(run.stage(cluster_probes.SERVICE_STAGE, serving))
    allowed = options.allow_plaintext_loopback
    plain = ending_tls(plan.cache(), plan.cache_forward()) if allowed else None
    return Route(
        "forward",
        plan.cache(),
        plan.substituter(),
        cluster=_reference(asked),
        cache_forward=plan.cache_forward(),
        nix_forward=plan.nix_forward(),
        plain_forward=plain,
    )


def _ask(subject: ClusterSubject, run: Run) -> StageResult:
    """Ask the cluster; a certificate of its API server that does not simply pass is asked everything then.

    What lies behind a proxy that is no plain HTTP one is not looked at a second time.
    """
    asked = run.stage(cluster_probes.STAGE, subject)
    if asked.findings["cluster.tls"].status in (Status.WARN, Status.FAIL):
        server = of_api_server(subject.connection)
        if server is not None:
            run.stage(certificates.stage_of(Purpose.API_SERVER), server)
    return asked


@dataclass
class _Plan:
    """The site, and the Services that were chosen for its halves; `asked` is the namespace asked last."""

    site: Site
    chosen: dict[Half, Chosen]
    asked: str = ""

    def cache(self) -> CacheTarget | None:
        """The Bazel cache: behind a forward under its real name or in plaintext, or dialled directly."""
        named, chosen = self.site.cache_target(), self.chosen.get("cache")
        if chosen is None:
            return named
        if named is not None:
            return replace(named, real_host=named.endpoint.host)
        return CacheTarget(
            Endpoint(chosen.protocol, *_LATER),
            instance_name=self.site.get("cache.instance") or "",
            tls=TlsFiles(self.site.get("cache.ca_file")),
            real_host=_in_cluster(chosen),
        )

    def substituter(self) -> SubstituterTarget | None:
        """The Nix cache, behind a forward or dialled directly."""
        chosen = self.chosen.get("nix")
        if chosen is None:
            return self.site.substituter_target()
        endpoint = self.site.get("nix.substituter")
        path = f"/{self.site.get('nix.cache')}".rstrip("/") if endpoint is None else endpoint.path
        return SubstituterTarget(
            Endpoint("http", *_LATER, path),
            public_keys=self.site.get("nix.public_keys") or (),
            signed_path=self.site.get("nix.signed_path"),
            object_store=self.site.get("nix.object_store"),
            real_host=_in_cluster(chosen) if endpoint is None else endpoint.host,
        )

    def cache_forward(self) -> ForwardSpec | None:
        """The forward of the Bazel cache."""
        chosen, target = self.chosen.get("cache"), self.cache()
        if chosen is None or target is None:
            return None
        name = _name(chosen, tls=target.endpoint.tls)
        return ForwardSpec(name, _upstream(chosen), cache_health(target))

    def nix_forward(self) -> ForwardSpec | None:
        """The forward of the Nix cache."""
        chosen, target = self.chosen.get("nix"), self.substituter()
        if chosen is None or target is None:
            return None
        spec = ForwardSpec(_name(chosen), _upstream(chosen), Health("nix", target.endpoint.path))
        return nix_token.with_address(spec, target)


def _passed(result: StageResult) -> StageResult:
    """`result`, if nothing in it failed. An attach ends here: it never goes on without the cluster."""
    for finding in result.findings.values():
        if finding.failed:
            raise ClusterError(finding.seen, *finding.hints, code=finding.code)
    return result


def _published(options: Mapping[str, Any], site: Site, home: Home, asked: StageResult) -> Site:
    """The site with what the operator published as one more source."""
    data = asked.findings["cluster.profile"].data.get("profile")
    if data is None:
        return site
    source = source_of(site)
    return load_site(options, detached(os.environ), home.workspace, (source, parse_profile(data, source)))


def _select_endpoint(plan: _Plan, api: Api) -> Mapping[str, Finding]:
    """Fill `plan.chosen`, and say why each. Raises UsageError and ClusterError."""
    site, found = plan.site, {}
    halves: Sequence[tuple[Half, str]] = (("cache", "cache.endpoint"), ("nix", "nix.substituter"))
    for half, endpoint in halves:
        named = site.service(half)
        if named is not None:
            plan.asked = named.namespace
            asked = find_service(api, named.namespace, named.name, Deadline.after(SERVICES_SECONDS))
            service = run_sync(asked)
            plan.chosen[half] = select_endpoint(half, service, named.port)
        elif site.get(endpoint) is not None:
            found[f"discover.{half}"] = ok(
                "site.direct", f"{site.get(endpoint).url} is dialled directly (from {site.source(endpoint)})"
            )
            continue
        else:
            plan.asked = namespace = site.get("cluster.namespace")
            discovery = discover(half, _services(api, namespace), namespace)
            passed_over = [str(rejected) for rejected in discovery.rejected]
            if discovery.chosen is None:
                error = nothing_found(half, discovery, namespace)
                found[f"discover.{half}"] = ok("site.none", error.fact, passed_over=passed_over)
                continue
            plan.chosen[half] = discovery.chosen
        chosen = plan.chosen[half]
        found[f"discover.{half}"] = ok("site.service", str(chosen), service=str(chosen.service))
    if not plan.chosen and plan.cache() is None and plan.substituter() is None:
        namespace = site.get("cluster.namespace")
        raise nothing_found("cache", discover("cache", _services(api, namespace), namespace), namespace)
    if "nix" in plan.chosen and (endpoint := site.get("nix.substituter")) is not None and endpoint.tls:
        raise UsageError(
            f"{endpoint.url} cannot be the real name of a forward: Nix has no way to a name but the network",
            "name the Service alone, without nix.substituter: a forward speaks plain HTTP to it",
            "or the address alone, without nix.service, where this machine can reach it",
            code="site.nix.tls",
        )
    return found


def _services(api: Api, namespace: str) -> tuple[Service, ...]:
    return run_sync(list_services(api, namespace, Deadline.after(SERVICES_SECONDS)))


def _upstream(chosen: Chosen) -> PodUpstream:
    service = chosen.service
    assert service.port is not None
    return PodUpstream(service.namespace, service.name, service.port)


def _in_cluster(chosen: Chosen) -> str:
    """The Service's own host, as its cluster knows it."""
    return f"{chosen.service.name}.{chosen.service.namespace}.svc"


def _name(chosen: Chosen, *, tls: bool = False) -> str:
    return f"{chosen.service}{'+tls' if tls else ''}"


def _reference(asked: StageResult) -> ClusterRef:
    """The cluster by the files and the context that were found, so that a later change of the current
    context does not lead what is attached elsewhere.
    """
    files = [Path(name).absolute() for name in asked.findings["cluster.kubeconfig"].data["files"]]
    return ClusterRef(tuple(files) or None, asked.findings["cluster.context"].data["context"] or None)
