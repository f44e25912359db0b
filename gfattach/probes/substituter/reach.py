"""The way to a substituter: proxies, its name, its port."""

from __future__ import annotations

import errno
import os
import socket
from urllib.parse import urlsplit

from gfattach.core.endpoint import Endpoint, is_localhost
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, warn
from gfattach.nixcache import wire
from gfattach.nixcache.proxy import proxy_for, proxy_of
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.hints import start_here

SITE_HINT = "see what the site says: gfattach site show"


def route_hint(target: SubstituterTarget) -> str:
    """What to look at, or to start, when nothing is at the end of the way to `target`."""
    if target.behind_forward:
        return "see whether the forward reaches its upstream: gfattach status"
    return start_here(target.endpoint, SITE_HINT)


def _first_hop(endpoint: Endpoint) -> tuple[str, int]:
    """Who is dialled: the endpoint, or the proxy that the environment puts before it.

    Raises ValueError for a proxy that cannot be read.
    """
    proxy = proxy_for(endpoint.scheme, endpoint.host, os.environ)
    if proxy is None:
        return endpoint.host, endpoint.port
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is no http:// or https:// address")
    return parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)


def _proxy(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    endpoint = inquiry.subject.endpoint
    if endpoint.localhost:
        if proxy_of(endpoint.scheme, endpoint.host, os.environ) is None:
            return ok("substituter.proxy.ok", f"no proxy stands before {endpoint.authority}")
        return warn(
            "substituter.proxy.loopback",
            f"the environment puts a proxy before {endpoint.authority}, which is this machine",
            "Nix asks the proxy for it, and the proxy's own loopback is another machine; "
            "the checks here ask directly",
            f'export no_proxy="{endpoint.host}${{no_proxy:+,$no_proxy}}"',
        )
    try:
        host, port = _first_hop(endpoint)
    except ValueError as error:
        return fail(
            "substituter.proxy.unusable",
            f"the proxy that the environment puts before {endpoint.authority} cannot be used: {error}",
            "Nix uses it for every request to the cache",
            "see what is set: env | grep -i _proxy",
        )
    if (host, port) == (endpoint.host, endpoint.port):
        return ok("substituter.proxy.ok", f"no proxy stands before {endpoint.authority}")
    return ok(
        "substituter.proxy.used",
        f"requests to {endpoint.authority} go by the proxy {host}:{port}",
        proxied=True,
    )


PROXY = Probe(
    name="substituter.proxy",
    question="which way do requests go",
    ask=_proxy,
    codes={
        "substituter.proxy.ok": "requests go directly",
        "substituter.proxy.used": "requests go by a proxy that the environment names",
        "substituter.proxy.loopback": "Nix would ask a proxy for an address of this machine",
        "substituter.proxy.unusable": "the environment names a proxy that cannot be used",
    },
)


def _resolve(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    host, port = _first_hop(inquiry.subject.endpoint)
    try:
        addresses = sorted({str(address[0]) for _, address in wire.resolve(host, port)})
    except (socket.gaierror, UnicodeError) as error:
        return _unresolved(host, error)
    return ok("substituter.resolve.ok", f"{host} is {', '.join(addresses)}", host=host, addresses=addresses)


def _unresolved(host: str, error: Exception) -> Finding:
    look = f"look it up: getent ahosts {host}"
    if getattr(error, "errno", None) == socket.EAI_AGAIN:
        return fail(
            "substituter.resolve.unanswered",
            f"no name server answered for {host}",
            "a cache that cannot be named cannot be asked, and Nix tries for seconds at each build",
            look,
            "a VPN that is not connected looks like this",
            host=host,
        )
    inside = host.rstrip(".").endswith((".svc", ".cluster.local"))
    first = "that is a name inside the cluster, reached by a forward: gfattach up" if inside else SITE_HINT
    return fail(
        "substituter.resolve.unknown",
        f"the name {host} is not known here",
        "a cache that cannot be named cannot be asked, and Nix tries for seconds at each build",
        first,
        look,
        host=host,
    )


RESOLVE = Probe(
    name="substituter.resolve",
    question="does its name resolve",
    ask=_resolve,
    codes={
        "substituter.resolve.ok": "the name resolves, or is an address",
        "substituter.resolve.unknown": "no such name is known on this machine",
        "substituter.resolve.unanswered": "no name server answered",
    },
    needs=("substituter.proxy",),
)


def dialled(inquiry: Inquiry[SubstituterTarget]) -> tuple[str, list[wire.Address]]:
    """Who is dialled, for a person and for `connect`: as resolved by the probe before."""
    host, port = _first_hop(inquiry.subject.endpoint)
    known = inquiry.known("substituter.resolve", "addresses", [host])
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return shown, [address for text in known for address in wire.resolve(text, port)]


def _port(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    shown, addresses = dialled(inquiry)
    forward = _route_hint(inquiry.subject)
    try:
        wire.connect(addresses, inquiry.deadline).close()
    except TimeoutError:
        return fail(
            "substituter.port.silent",
            f"{shown} does not answer",
            "something drops the packets: a firewall, a VPN that is not connected, a host that is off; "
            "Nix waits for it at each build",
            forward,
        )
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            return fail(
                "substituter.port.refused",
                f"{shown} refuses connections",
                "nothing listens there; a cache that served before and is unreachable makes Nix builds fail",
                forward,
            )
        return fail(
            "substituter.port.unreachable",
            f"{shown} cannot be reached: {(error.strerror or str(error)).lower()}",
            "this machine has no way to that network",
            forward,
            f"see which way it would take: ip route get {addresses[-1][1][0]}",
        )
    return ok("substituter.port.ok", f"{shown} accepts connections")


def _route_hint(target: SubstituterTarget) -> str:
    local = is_localhost(_first_hop(target.endpoint)[0])
    if local and not target.endpoint.localhost:
        return "start the proxy that this shell names, or name none: env | grep -i proxy"
    return route_hint(target)


PORT = Probe(
    name="substituter.port",
    question="does its port accept connections",
    ask=_port,
    codes={
        "substituter.port.ok": "the port accepts connections",
        "substituter.port.refused": "nothing listens at the port",
        "substituter.port.silent": "the port neither accepts nor refuses",
        "substituter.port.unreachable": "this machine has no way to that address",
    },
    needs=("substituter.resolve",),
)
