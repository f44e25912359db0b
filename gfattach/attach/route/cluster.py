"""The route through a cluster: ask it, read what its operator published, choose Services, plan forwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream
from gfattach.agent.model.state import agent_directory
from gfattach.attach.model.options import UpOptions
from gfattach.attach.route.addresses import with_address
from gfattach.attach.route.route import Route, cache_health, ending_tls, refuse_site_executor
from gfattach.attach.route.trusted import name_trusted
from gfattach.cluster.api.client import ApiError
from gfattach.cluster.api.endpoint_selection import shown
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.objects import Service
from gfattach.cluster.api.services import find_service, list_services
from gfattach.cluster.connection import ClusterRef
from gfattach.contract.environment import detached
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run, StageResult
from gfattach.core.errors import ClusterError, UsageError
from gfattach.core.finding import Finding, Status, ok
from gfattach.core.paths import Home
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.certificates import stage as certificates
from gfattach.probes.certificates.subject import of_api_server
from gfattach.probes.cluster import rights as cluster_rights
from gfattach.probes.cluster import stage as cluster_probes
from gfattach.probes.cluster.subject import ClusterSubject, with_rights
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.site.authority import demand_authority
from gfattach.site.cluster_profile import source_of
from gfattach.site.discover import Chosen, Section, discover, nothing_found, select_endpoint
from gfattach.site.load import load_site
from gfattach.site.profile import parse_profile
from gfattach.site.site import Site
from gfattach.tls.purpose import Purpose

#: Seconds for reading the Services.
SERVICES_SECONDS = 5.0

#: What a target behind a forward is dialled at before the forward is there.
_LATER = ("127.0.0.1", 0)


def cluster_route(options: UpOptions, site: Site, context: Context, home: Home, run: Run) -> Route:
    """Ask the cluster of `site` and plan the forwards into it; nothing is opened yet.

    Raises ClusterError when the cluster does not pass its probes, UsageError for a site that does not fit
    it, RefusedError for one that names an executor, and StorageError.
    """
    subject = _subject(site, context, run)
    asked = _passed(_ask(subject, run))
    data = asked.findings["cluster.profile"].data.get("profile")
    if data is not None:  # what the operator published is one more source
        source, environ = source_of(site), detached(context.environ)
        site = load_site(options.site, environ, home.workspace, (source, parse_profile(data, source)))
    trusted = name_trusted(site, home, run, options)
    site = site.with_authorities(home.directory)
    refuse_site_executor(site)
    demand_authority(site)
    user = asked.findings["cluster.identity"].data.get("user") or ""

    found, _ = run.obtain(
        "discover",
        "find the caches among the Services",
        lambda progress: _choose(site, subject, user, use_nix=options.clients.use_nix),
    )
    chosen, reference = dict(found), _reference(asked, subject.connection.identity)

    def planned() -> Route:
        cache, cache_forward = _cache(site, chosen.get("cache"))
        agent = agent_directory(reference).name
        substituter, nix_forward = _substituter(site, chosen.get("nix"), context.environ, agent)
        plain = ending_tls(cache, cache_forward) if options.allow_plaintext_loopback else None
        return Route(
            "forward",
            cache,
            substituter,
            cluster=reference,
            cache_forward=cache_forward,
            nix_forward=nix_forward,
            plain_forward=plain,
            trusted=trusted,
        )

    heard = _passed(_ask_services(subject, planned().forwards, run)).findings["cluster.cache"].data
    if "cache" in chosen:  # where nothing said what its port speaks, what was heard there does
        port = shown(_upstream(chosen["cache"]))
        chosen["cache"] = chosen["cache"].once_heard("cache", heard.get("heard", {}).get(port, ""))
    credential = subject.held.credential
    return replace(planned(), exec_credential=None if credential is None else credential.exec_credential)


def survey(
    named: Mapping[str, Any],
    site: Site,
    context: Context,
    home: Home,
    run: Run,
    *,
    use_nix: bool,
    also: Callable[[ClusterSubject], object],
) -> None:
    """Ask the cluster of `site` all that an attach would, and plan, open and write nothing.

    `named` are the options that named settings; `also` is what else is asked of a cluster that answers,
    whatever came of its Services. Raises GfattachError where a step did; the run has it.
    """
    subject = _subject(site, context, run)
    asked = _ask(subject, run)
    if asked.status is Status.FAIL:
        return
    try:
        _survey_services(named, site, context, home, run, subject, asked, use_nix=use_nix)
    finally:
        also(subject)


def _survey_services(
    named: Mapping[str, Any],
    site: Site,
    context: Context,
    home: Home,
    run: Run,
    subject: ClusterSubject,
    asked: StageResult,
    *,
    use_nix: bool,
) -> None:
    data = asked.findings["cluster.profile"].data.get("profile")
    if data is not None:
        source, environ = source_of(site), detached(context.environ)
        site = load_site(named, environ, home.workspace, (source, parse_profile(data, source)))
    user = asked.findings["cluster.identity"].data.get("user") or ""
    chosen, _ = run.obtain(
        "discover",
        "find the caches among the Services",
        lambda progress: _choose(site, subject, user, use_nix=use_nix),
    )
    found = (_cache(site, chosen.get("cache"))[1], _substituter(site, chosen.get("nix"), context.environ)[1])
    _ask_services(subject, [spec for spec in found if spec is not None], run)


def _ask_services(subject: ClusterSubject, forwards: Iterable[ForwardSpec], run: Run) -> StageResult:
    """Ask for rights, ready pods and first bytes of what `forwards` lead to."""
    pods = [(spec.upstream, spec.health) for spec in forwards if isinstance(spec.upstream, PodUpstream)]
    names = {shown(upstream): health.server_name for upstream, health in pods if health.tls}
    serving = subject.serving(*(upstream for upstream, _ in pods), names=names)
    return run.stage(cluster_probes.SERVICE_STAGE, serving)


def _ask(subject: ClusterSubject, run: Run) -> StageResult:
    """Ask the cluster; a certificate of its API server that does not simply pass is asked everything then.

    What lies behind an https proxy is not looked at a second time.
    """
    asked = run.stage(cluster_probes.STAGE, subject)
    tls = asked.findings["cluster.tls"]
    if tls.status in (Status.WARN, Status.FAIL) and tls.code != "cluster.tls.lenient":
        server = of_api_server(subject.connection)
        if server is not None:
            run.stage(certificates.stage_of(Purpose.API_SERVER), server)
    return asked


def _subject(site: Site, context: Context, run: Run) -> ClusterSubject:
    profile = site.get("cluster.profile")
    return ClusterSubject(ref=site.cluster, profile=profile, environ=context.environ, terminal=run.terminal)


def _cache(site: Site, chosen: Chosen | None) -> tuple[CacheTarget | None, ForwardSpec | None]:
    """The Bazel cache: behind a forward under its real name or in plaintext, or dialled directly."""
    target = site.cache_target()
    if chosen is None:
        return target, None
    if target is not None:
        target = replace(target, real_host=target.endpoint.host)
    else:
        target = CacheTarget(
            Endpoint(chosen.protocol, *_LATER),
            instance_name=site.get("cache.instance") or "",
            tls=TlsFiles(site.get("cache.ca_file")),
            real_host=_in_cluster(chosen),
        )
    name = f"{chosen.service}{'+tls' if target.endpoint.tls else ''}"
    return target, ForwardSpec(name, _upstream(chosen), cache_health(target))


def _substituter(
    site: Site, chosen: Chosen | None, environ: Mapping[str, str], agent: str = ""
) -> tuple[SubstituterTarget | None, ForwardSpec | None]:
    """The Nix cache: behind a forward, at an address of its own where it wants a token, or direct."""
    if chosen is None:
        return site.substituter_target(), None
    endpoint = site.get("nix.substituter")
    path = f"/{site.get('nix.cache')}".rstrip("/") if endpoint is None else endpoint.path
    target = SubstituterTarget(
        Endpoint("http", *_LATER, path),
        public_keys=site.get("nix.public_keys") or (),
        signed_path=site.get("nix.signed_path"),
        object_store=site.get("nix.object_store"),
        real_host=_in_cluster(chosen) if endpoint is None else endpoint.host,
    )
    spec = ForwardSpec(str(chosen.service), _upstream(chosen), Health("nix", path))
    return target, with_address(spec, target, environ, agent)


def _passed(result: StageResult) -> StageResult:
    """`result`, if nothing in it failed. An attach ends here: it never goes on without the cluster."""
    for finding in result.findings.values():
        if finding.failed:
            raise ClusterError(finding.seen, *finding.hints, code=finding.code)
    return result


#: The codes of a right that is missing.
_REFUSED = ("cluster.rights.missing", "cluster.api.forbidden")

#: The sections of a site, each with the setting that names an endpoint.
_SECTIONS: Mapping[Section, str] = {"cache": "cache.endpoint", "nix": "nix.substituter"}


def _choose(
    site: Site, subject: ClusterSubject, user: str, *, use_nix: bool
) -> tuple[Mapping[Section, Chosen], Mapping[str, Finding]]:
    """The Service of each section, and why it is. Raises UsageError and ClusterError; `user` is who asks."""
    chosen: dict[Section, Chosen] = {}
    found: dict[str, Finding] = {}
    for section, endpoint in _SECTIONS.items():
        try:
            one, found[f"discover.{section}"] = _choose_one(site, section, endpoint, subject, user)
        except ClusterError as refusal:
            # A right that is needed for what was left out alone is not asked for.
            left_out = section == "nix" and not use_nix and site.service(section) is None
            if left_out and refusal.code in _REFUSED and (chosen or site.cache_target() is not None):
                continue
            raise
        if one is not None:
            chosen[section] = one
    if not chosen and site.cache_target() is None and site.substituter_target() is None:
        namespace = site.get("cluster.namespace")
        raise nothing_found("cache", discover("cache", _read(subject, namespace, user), namespace), namespace)
    if "nix" in chosen and (real := site.get("nix.substituter")) is not None and real.tls:
        raise UsageError(
            f"{real.url} cannot be the real name of a forward: Nix has no way to a name but the network",
            "name the Service alone, without nix.substituter: a forward speaks plain HTTP to it",
            "or the address alone, without nix.service, where this machine can reach it",
            code="site.nix.tls",
        )
    return chosen, found


def _choose_one(
    site: Site, section: Section, endpoint: str, subject: ClusterSubject, user: str
) -> tuple[Chosen | None, Finding]:
    namespace, named = site.get("cluster.namespace"), site.service(section)
    if named is not None:
        with _explained(subject, named.namespace, user):
            service = with_rights(
                subject,
                lambda: run_sync(
                    find_service(subject.api, named.namespace, named.name, Deadline.after(SERVICES_SECONDS))
                ),
            )
        chosen = select_endpoint(section, service, named.port)
    elif site.get(endpoint) is not None:
        dialled = f"{site.get(endpoint).url} is dialled directly (from {site.source(endpoint)})"
        return None, ok("site.direct", dialled)
    else:
        discovery = discover(section, _read(subject, namespace, user), namespace)
        if discovery.chosen is None:
            passed_over = [str(rejected) for rejected in discovery.rejected]
            fact = nothing_found(section, discovery, namespace).fact
            return None, ok("site.none", fact, passed_over=passed_over)
        chosen = discovery.chosen
    return chosen, ok("site.service", str(chosen), service=str(chosen.service))


@contextmanager
def _explained(subject: ClusterSubject, namespace: str, user: str) -> Iterator[None]:
    """Say which right is missing, where the API server refuses what is asked about `namespace`."""
    try:
        yield
    except ApiError as error:
        if error.status != 403:
            raise
        deadline = Deadline.after(SERVICES_SECONDS)
        raise cluster_rights.refused(subject.api, namespace, user, error, deadline) from error


def _read(subject: ClusterSubject, namespace: str, user: str) -> Sequence[Service]:
    def ask() -> Sequence[Service]:
        return run_sync(list_services(subject.api, namespace, Deadline.after(SERVICES_SECONDS)))

    with _explained(subject, namespace, user):
        return with_rights(subject, ask)


def _upstream(chosen: Chosen) -> PodUpstream:
    service = chosen.service
    assert service.port is not None
    return PodUpstream(service.namespace, service.name, service.port)


def _in_cluster(chosen: Chosen) -> str:
    """The Service's own host, as its cluster knows it."""
    return f"{chosen.service.name}.{chosen.service.namespace}.svc"


def _reference(asked: StageResult, identity: str) -> ClusterRef:
    """The cluster by the files and the context that were found and by its `identity`, so that a later
    change of the current context does not lead what is attached elsewhere.
    """
    files = [Path(name).absolute() for name in asked.findings["cluster.kubeconfig"].data["files"]]
    context = asked.findings["cluster.context"].data["context"] or None
    return ClusterRef(tuple(files) or None, context, identity=identity)
