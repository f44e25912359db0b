"""Route selection: how an attachment reaches its caches.

A route has two targets, either of which may be missing. The trial's caches run beside the attachment; a
direct site's are dialled as they are named; those in a cluster are reached through forwards (`cluster`).
"""

from __future__ import annotations

from collections.abc import Mapping

from gfattach.attach.model.options import UpOptions
from gfattach.attach.route.route import Route, ending_tls, refuse_executor, trial_route
from gfattach.attach.route.trusted import name_trusted
from gfattach.cluster.kubeconfig.resolve import find_files
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Progress, Run
from gfattach.core.errors import ClusterError, UsageError
from gfattach.core.finding import Finding, ok
from gfattach.core.paths import Home
from gfattach.site.allow import FILE_NAME
from gfattach.site.authority import demand_authority
from gfattach.site.site import Site

#: Seconds that the embedded caches may take to be ready.
TRIAL_SECONDS = 15.0


def kind_of(options: UpOptions, site: Site, environ: Mapping[str, str]) -> str:
    """The kind of route that `options` and what is said of the site ask for.

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
        into = "to go into a cluster: gfattach up --kubeconfig FILE"
        trial = "to try gfattach without any: gfattach up --trial"
        raise UsageError(
            f"nothing says where the caches are, and {error.fact}",
            *((into, trial) if environ.get("KUBECONFIG") else (trial, into)),
            "or name the caches: gfattach up --cache grpc://HOST:PORT --substituter https://HOST/CACHE",
            f"or describe the site in {FILE_NAME}: gfattach help site",
            code="site.empty",
        ) from None
    return "forward"


def admit(options: UpOptions, site: Site, context: Context) -> None:
    """Raise RefusedError when something names an executor, or asks for one where a Bazel would prove, and
    when the site trusts a store that is there for the time being.
    """
    refuse_executor(site, context.environ, proves_bazel=options.clients.use_bazel)
    demand_authority(site)


def find_route(options: UpOptions, site: Site, context: Context, home: Home, run: Run) -> Route:
    """The route of `kind_of` these, once they are admitted.

    Raises UsageError for what does not fit together, ClusterError when the cluster does not pass its
    probes, and RefusedError for what it publishes as `admit` does.
    """
    kind = kind_of(options, site, context.environ)
    if kind == "trial":
        return _trial(options, home, run)
    if kind == "forward":
        # What asks a cluster is not needed by the other kinds.
        from gfattach.attach.route.cluster import cluster_route

        return cluster_route(options, site, context, home, run)
    trusted = name_trusted(site, home, run, options)
    site = site.with_authorities(home.directory)
    cache = site.cache_target()
    plain = ending_tls(cache, None) if options.allow_plaintext_loopback else None
    route = Route("direct", cache, site.substituter_target(), plain_forward=plain, trusted=trusted)
    run.step("site", "load the site", lambda progress: {"site": _describe(route, site)})
    return route


def _describe(route: Route, site: Site) -> Finding:
    named = [
        f"{what} {target.endpoint.url} (from {site.source(key)})"
        for what, target, key in (
            ("cache", route.cache, "cache.endpoint"),
            ("substituter", route.substituter, "nix.substituter"),
        )
        if target is not None
    ]
    return ok("site.direct", " · ".join(named), site=site.as_json())


def _trial(options: UpOptions, home: Home, run: Run) -> Route:
    from gfattach.trial import supervisor

    assert options.trial is not None
    trial = options.trial

    def start(progress: Progress) -> tuple[Route, Mapping[str, Finding]]:
        state = supervisor.start(
            home.trial,
            bazel_port=trial.bazel_port,
            nix_port=trial.nix_port,
            max_bytes=trial.max_bytes,
            deadline=Deadline.after(TRIAL_SECONDS),
        )
        seen = f"embedded caches at {state.cache_endpoint.url} and {state.nix_endpoint.url}"
        return trial_route(state, home.trial), {"trial": ok("trial.started", seen, pid=state.process.pid)}

    return run.obtain("trial", "start the embedded caches", start)[0]
