"""`site show` and `site warm`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfattach.attach.bazel import checks as bazel_side
from gfattach.attach.bazel import token as bazel_token
from gfattach.attach.model.options import ClientOptions
from gfattach.attach.route.route import Route
from gfattach.contract.environment import detached
from gfattach.core.engine import Run
from gfattach.core.errors import GfattachError, RefusedError, UsageError
from gfattach.core.files import remove_tree
from gfattach.core.finding import Finding, ok, skip
from gfattach.core.paths import resolve_home
from gfattach.proof.measure import Measurement
from gfattach.proof.record import Proof, conclude
from gfattach.site.cluster_profile import Profile, ask_cluster_for_profile, source_of
from gfattach.site.load import load_site
from gfattach.site.site import Site


@dataclass(frozen=True)
class ShownSite:
    """Every setting that has a value, as `Site.as_json` gives it, and what became of the ConfigMap."""

    settings: Mapping[str, Mapping[str, Any]]
    profile: str


@dataclass(frozen=True)
class WarmOptions:
    """One `gfattach site warm`."""

    workspace: Path | None
    site: Mapping[str, Any]
    clients: ClientOptions
    upload: bool


def show_site(
    workspace: Path | None, options: Mapping[str, Any], run: Run, *, ask_cluster: bool = False
) -> ShownSite:
    """What is known of the site around `workspace`, with what the cluster says of it when that is asked.

    Raises UsageError, and ClusterError when the cluster is asked and cannot be reached or refuses.
    """
    home = resolve_home(workspace, Path.cwd())
    environment = detached(os.environ)
    site = load_site(options, environment, home.workspace)
    source = source_of(site)
    if not ask_cluster:
        return ShownSite(site.as_json(), f"{source} was not asked: gfattach site show --cluster")
    found: list[Profile] = []

    def ask(progress: object) -> Mapping[str, Finding]:
        found.extend(filter(None, [ask_cluster_for_profile(site)]))
        return {"profile": _told(source, bool(found))}

    run.step("profile", f"read {source}", ask)
    if not found:
        return ShownSite(site.as_json(), f"{source} is not there")
    return ShownSite(
        load_site(options, environment, home.workspace, found[0]).as_json(), f"{source} was read"
    )


def _told(source: str, found: bool) -> Finding:
    if found:
        return ok("site.profile.read", f"{source} was read")
    return skip(
        "site.profile.missing", f"{source} is not there", "an operator writes it: gfattach site publish"
    )


def warm_site(options: WarmOptions, run: Run) -> Proof:
    """Store what a proof asks for, and ask for it, to show that it is there.

    Raises RefusedError where the site does not let this lane write, and UsageError when it names
    no cache.
    """
    home = resolve_home(options.workspace, Path.cwd())
    site = load_site(options.site, detached(os.environ), home.workspace)
    run.account("start", "load configuration")
    target = site.cache_target(upload=options.upload)
    if target is None:
        raise UsageError("the site names no Bazel cache to warm", "name it: --cache grpc://HOST:PORT")
    if not target.may_write:
        raise _refusal(site, options)
    target = bazel_token.ask_with_token(target, run)
    if not (bazel_side.ask_certificate(target, run) and bazel_side.ask_cache(target, run)):
        raise GfattachError("the cache did not pass its probes; nothing was stored", code="warm.cache")
    work = home.warming
    try:
        found = bazel_side.ask_bazel(target, options.clients, work, run)
        measurement = Measurement(run)
        with bazel_side.phases_of(found, target, work) as phases:
            bazel_side.fill(Route("direct", target, None, fills=True), phases, measurement)
            bazel_side.hit(target, phases, measurement, warm=True)
    finally:
        remove_tree(work.work)
    substituter = site.substituter_target()
    if substituter is not None:
        path, url = substituter.probe_path, substituter.endpoint.url
        finding = skip(
            "warm.nix",
            "gfattach never publishes to a Nix cache",
            f"an operator publishes the probe path with the cache's own tool: nix copy --to CACHE {path}",
        )
        run.step("nix", f"the probe paths of {url}", lambda progress: {"nix": finding})
    endpoints = {"cache": target.endpoint.url}
    return conclude(measurement.phases, run.report(), run.origin, endpoints)


def _refusal(site: Site, options: WarmOptions) -> RefusedError:
    if not site.may_upload:
        return RefusedError(
            f"the site does not let this lane write: cache.upload is {site.get('cache.upload')!r} "
            f"(from {site.source('cache.upload')})",
            'an operator allows it in a trusted lane: cache.upload = "trusted"',
            code="warm.policy",
        )
    return RefusedError(
        "warming writes to a shared cache, and nobody said that it should",
        "say so: gfattach site warm --upload",
        code="warm.unasked",
    )
