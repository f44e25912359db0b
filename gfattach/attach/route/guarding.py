"""Keeping the Nix fragment right: filled while its substituter is well, emptied while it is not."""

from __future__ import annotations

import os
from pathlib import Path

from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, GuardedFile, Health, Registration
from gfattach.attach.route.agents import agent_for, await_up, directory_for, register, release
from gfattach.attach.route.route import Route
from gfattach.core.paths import Home
from gfattach.fragments import nixconf
from gfattach.nixcache.proxy import proxy_for
from gfattach.nixcache.target import SubstituterTarget

#: Seconds for the agent to see that a substituter is well which has just passed its probes.
SEEN_SECONDS = 2.0


def guard(route: Route, home: Home, fragment: Path, full: str, lease_hours: float) -> bool:
    """Have the Nix fragment emptied whenever the substituter of `way` is down; whether there is an agent for
    the attachment then. Raises AgentError.

    One that is reached by a proxy of the environment is not watched: the agent dials what it watches, and
    would find it down. Where it forwards nothing either, there is none.
    """
    assert route.substituter is not None
    endpoint = route.substituter.endpoint
    watched = route.nix_forward
    if watched is None and proxy_for(endpoint.scheme, endpoint.host, os.environ) is None:
        watched = watch(route.substituter)
    forwards = tuple(spec for spec in (route.cache_forward, watched) if spec is not None)
    if not forwards:
        release(directory_for(route), home.record)
        return False
    guarded = () if watched is None else (GuardedFile(fragment, watched.name, full, nixconf.emptied()),)
    client = agent_for(route, lease_hours)
    register(client, Registration(home.record, forwards, guarded))
    # The agent may have seen the substituter down a moment ago: the fragment is full once it sees it up.
    for file in guarded:
        await_up(client, file.forward, SEEN_SECONDS)
    return True


def unguard(route: Route, home: Home, lease_hours: float) -> None:
    """Guard nothing any more: keep the forward of the Bazel cache, or give all up. Raises AgentError."""
    if route.cache_forward is None:
        release(directory_for(route), home.record)
        return
    register(agent_for(route, lease_hours), Registration(home.record, (route.cache_forward,)))


def watch(target: SubstituterTarget) -> ForwardSpec:
    """A substituter that is dialled directly, asked for its health and not forwarded."""
    endpoint = target.endpoint
    health = nix_health(target, endpoint.authority)
    return ForwardSpec(endpoint.url, DirectUpstream(endpoint.host, endpoint.port), health, listen=False)


def nix_health(target: SubstituterTarget, host: str = "") -> Health:
    """How the substituter is asked for its health; `host` is the Host header."""
    endpoint = target.endpoint
    return Health("nix", endpoint.path, endpoint.tls, endpoint.host, target.ca_file, host)
