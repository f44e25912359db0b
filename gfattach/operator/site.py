"""`site show` and `site warm`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.attach.bazel.client import BazelClient
from gfattach.attach.client.session import Session
from gfattach.attach.model.options import ClientOptions
from gfattach.contract.environment import detached
from gfattach.core.context import Context
from gfattach.core.engine import Progress, Run
from gfattach.core.errors import GfattachError, RefusedError, UsageError
from gfattach.core.files import remove_tree
from gfattach.core.finding import Finding, ok, skip
from gfattach.core.quote import word
from gfattach.proof.measure import Measurement
from gfattach.proof.record import Proof, conclude
from gfattach.site.cluster_profile import Profile, ask_cluster_for_profile, source_of
from gfattach.site.load import load_site
from gfattach.site.site import Site


class ShownSite(Struct, frozen=True):
    """Every setting that has a value, as `Site.as_json` gives it, and what became of the ConfigMap."""

    settings: Mapping[str, Mapping[str, Any]]
    profile: str


class WarmOptions(Struct, frozen=True):
    """One `gfattach site warm`."""

    workspace: Path | None
    site: Mapping[str, Any]
    clients: ClientOptions
    upload: bool


def show_site(
    workspace: Path | None,
    options: Mapping[str, Any],
    context: Context,
    run: Run,
    *,
    ask_cluster: bool = False,
) -> ShownSite:
    """What is known of the site around `workspace`, with what the cluster says of it when that is asked.

    Raises UsageError, and ClusterError when the cluster is asked and cannot be reached or refuses.
    """
    home = context.home(workspace)
    environment = detached(context.environ)
    site = load_site(options, environment, home.workspace, look_only=not ask_cluster)
    source = source_of(site)
    if not ask_cluster:
        return ShownSite(site.as_json(), f"{source} was not asked: gfattach site show --cluster")

    def ask(progress: Progress) -> tuple[Profile | None, Mapping[str, Finding]]:
        profile = ask_cluster_for_profile(site)
        return profile, {"profile": _told(source, profile is not None)}

    profile, _ = run.obtain("profile", f"read {source}", ask)
    if profile is None:
        return ShownSite(site.as_json(), f"{source} is not there")
    site = load_site(options, environment, home.workspace, profile)
    return ShownSite(site.as_json(), f"{source} was read")


def _told(source: str, found: bool) -> Finding:
    if found:
        return ok("site.profile.read", f"{source} was read")
    return skip(
        "site.profile.missing", f"{source} is not there", "an operator writes it: gfattach site publish"
    )


def warm_site(options: WarmOptions, context: Context, run: Run) -> Proof:
    """Store what a proof asks for, and ask for it, to show that it is there.

    Raises RefusedError where the site does not let this environment write, and UsageError when it names
    no cache.
    """
    home = context.home(options.workspace)
    site = load_site(options.site, detached(context.environ), home.workspace)
    run.account("start", "load configuration")
    target = site.cache_target(upload=options.upload)
    if target is None:
        raise UsageError("the site names no Bazel cache to warm", "name it: --cache grpc://HOST:PORT")
    if not target.may_write:
        raise _refusal(site, options)
    home, measurement = home.warming, Measurement(run)
    client = BazelClient(Session(context=context, home=home, run=run, clients=options.clients), target)
    client.find_token()
    if not client.answers():
        raise GfattachError("the cache did not pass its probes; nothing was stored", code="warm.cache")
    try:
        client.find_program()
        with client.measures(measurement) as phases:
            phases.fill()
            phases.hit(warm=True)
    finally:
        remove_tree(home.work)
    substituter = site.substituter_target()
    if substituter is not None:
        path, url = substituter.probe_path, substituter.endpoint.url
        finding = skip(
            "warm.nix",
            "gfattach never publishes to a Nix cache",
            "an operator publishes the probe path with the cache's own tool: "
            f"nix copy --to CACHE {word(path)}",
        )
        run.step("nix", f"the probe paths of {url}", lambda progress: {"nix": finding})
    endpoints = {"cache": target.endpoint.url}
    return conclude(measurement.phases, run.report(), run.origin, endpoints)


def _refusal(site: Site, options: WarmOptions) -> RefusedError:
    if not site.may_upload:
        return RefusedError(
            f"the site does not let this environment write: cache.upload is {site.get('cache.upload')!r} "
            f"(from {site.source('cache.upload')})",
            'an operator allows it in a trusted environment: cache.upload = "trusted"',
            code="warm.policy",
        )
    return RefusedError(
        "warming writes to a shared cache, and nobody said that it should",
        "say so: gfattach site warm --upload",
        code="warm.unasked",
    )
