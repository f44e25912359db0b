"""Nix as a client of the substituter's endpoint: by a proxy of the environment, where curl would take one."""

from __future__ import annotations

import os

from gfattach.core.endpoint import Endpoint
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, warn
from gfattach.net.proxy import Proxy
from gfattach.net.proxy_environment import proxy_of, proxy_towards
from gfattach.net.route import to_host
from gfattach.nixcache.authorities import tls_context
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.endpoint.client import EndpointClient
from gfattach.probes.endpoint.protocol import PROTOCOLS, judge, sniff
from gfattach.probes.endpoint.reach import reach_probes
from gfattach.tls.purpose import Purpose


def _proxy_before(endpoint: Endpoint) -> Proxy | None:
    """Raises ValueError for a proxy that cannot be used."""
    return proxy_towards(endpoint.scheme, endpoint.host, os.environ)


def _first_hop(target: SubstituterTarget) -> tuple[str, int]:
    hop = _proxy_before(target.endpoint) or target.endpoint
    return hop.host, hop.port


CLIENT: EndpointClient[SubstituterTarget] = EndpointClient(
    prefix="substituter",
    purpose=Purpose.SUBSTITUTER,
    setting="nix.substituter",
    unnamed="a cache that cannot be named cannot be asked, and Nix tries for seconds at each build",
    refused="a cache that served before and is unreachable makes Nix builds fail",
    silent="Nix waits for it at each build",
    mistaken="Nix takes what it hears for a broken connection",
    first_hop=_first_hop,
    route=lambda target: to_host(target.endpoint.host, target.endpoint.port),
    context=lambda target: tls_context(target.ca_file, os.environ),
    path=lambda target: f"{target.endpoint.path}/nix-cache-info",
)


def _proxy(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    endpoint = inquiry.subject.endpoint
    if endpoint.localhost and proxy_of(endpoint.scheme, endpoint.host, os.environ) is not None:
        return warn(
            "substituter.proxy.loopback",
            f"the environment puts a proxy before {endpoint.authority}, which is this machine",
            "Nix asks the proxy for it, and the proxy's own loopback is another machine; "
            "the checks here ask directly",
            f'export no_proxy="{endpoint.host}${{no_proxy:+,$no_proxy}}"',
        )
    try:
        proxy = _proxy_before(endpoint)
    except ValueError as error:
        return fail(
            "substituter.proxy.unusable",
            f"the proxy that the environment puts before {endpoint.authority} cannot be used: {error}",
            "Nix uses it for every request to the cache",
            "see what is set: env | grep -i _proxy",
        )
    if proxy is None:
        return ok("substituter.proxy.ok", f"no proxy stands before {endpoint.authority}", proxied=False)
    seen = f"requests to {endpoint.authority} go by {proxy.name}"
    return ok("substituter.proxy.ok", seen, proxied=True)


def _protocol(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    target = inquiry.subject
    if inquiry.known("substituter.proxy", "proxied"):
        seen = f"a proxy speaks to {target.endpoint.authority}: what it meets shows in the answers"
        return ok("substituter.protocol.ok", seen)
    return judge(CLIENT, target, sniff(CLIENT, target, inquiry.deadline))


PROXY = Probe(
    name="substituter.proxy",
    question="which route do requests take",
    ask=_proxy,
    codes={
        "substituter.proxy.ok": "requests go directly, or by a proxy that the environment names",
        "substituter.proxy.loopback": "Nix would ask a proxy for an address of this machine",
        "substituter.proxy.unusable": "the environment names a proxy that cannot be used",
    },
)

PROTOCOL = Probe(
    name="substituter.protocol",
    question="does it speak the protocol that the site says",
    ask=_protocol,
    codes=CLIENT.codes("protocol", PROTOCOLS),
    needs=("substituter.port",),
    seconds=8.0,
)

REACH = (PROXY, *reach_probes(CLIENT, needs=("substituter.proxy",)), PROTOCOL)
