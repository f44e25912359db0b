"""Stage "cache": the Bazel remote cache, asked from the name down to a blob.

Here are the ways to it: name and port. What the port speaks stands in `cache_speech`, what the
cache says of itself in `cache_capabilities`, what it does in `cache_content`.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from gfattach.core.deadline import Deadline
from gfattach.core.finding import Finding, Inquiry, Probe, Stage, fail, ok
from gfattach.probes.cache.capabilities import CAPABILITY_PROBES
from gfattach.probes.cache.content import CONTENT_PROBES
from gfattach.probes.cache.sniff import SNIFF_PROBES, start_again
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.wire import connect

CacheInquiry = Inquiry[CacheTarget]

_RESOLVE_CODES = {
    "cache.resolve.found": "the endpoint's name has addresses",
    "cache.resolve.unknown": "the endpoint's name is not known here",
    "cache.resolve.cluster": "the endpoint's name is one of inside a cluster, and this machine is outside",
    "cache.resolve.unanswered": "no name server answered: nothing is known of the name",
    "cache.resolve.socket": "the endpoint is reached through a socket: no name is looked up",
}


def _resolve(inquiry: CacheInquiry) -> Finding:
    endpoint = inquiry.subject.endpoint
    if inquiry.subject.socket is not None:
        return ok("cache.resolve.socket", f"{endpoint.host} is reached through {inquiry.subject.socket}")
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return _unresolved(endpoint.host, error)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ok("cache.resolve.found", f"{endpoint.host} is {', '.join(addresses[:4])}", addresses=addresses)


def _unresolved(host: str, error: Exception) -> Finding:
    said = getattr(error, "strerror", None) or str(error)
    if host.rstrip(".").endswith((".svc", ".cluster.local")):
        return fail(
            "cache.resolve.cluster",
            f"{host} is a name of inside a cluster, and is not known here",
            "only the cluster's own name server knows it",
            "attach through a forward, or name the site's ingress: gfattach up --cache grpcs://HOST",
        )
    if getattr(error, "errno", None) == socket.EAI_AGAIN:
        return fail(
            "cache.resolve.unanswered",
            f"no name server answered for {host}: {said}",
            "the network, the VPN or the name server is down: the name itself may be right",
            f"look it up: getent hosts {host}",
        )
    return fail(
        "cache.resolve.unknown",
        f"the name {host} is not known here: {said}",
        "Bazel would wait 3 s for it at every command",
        "check the spelling, and whether the VPN that knows it is up",
        f"look it up: getent hosts {host}",
    )


_PORT_CODES = {
    "cache.port.open": "the port takes connections",
    "cache.port.refused": "nothing listens on the port",
    "cache.port.silent": "the port does not answer at all: a firewall, or no way there",
    "cache.port.unreachable": "there is no way to the host",
    "cache.port.socket": "the unix socket is missing, stale or not ours",
}


def _port(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    where = f"the socket {target.socket}" if target.socket else target.endpoint.authority
    try:
        connect(target, Deadline(inquiry.deadline.at - 0.1)).close()
    except OSError as error:
        return _socket_closed(target.socket, error) if target.socket else _closed(target, error)
    return ok("cache.port.open", f"{where} takes connections")


def _closed(target: CacheTarget, error: OSError) -> Finding:
    endpoint = target.endpoint
    if isinstance(error, TimeoutError):
        return fail(
            "cache.port.silent",
            f"no answer from {endpoint.authority} within the deadline",
            "a silent endpoint stalls Bazel for minutes, where a refused one costs it 0.2 s",
            "see whether the VPN is up and the port is right: a firewall drops what it does not allow",
        )
    if isinstance(error, ConnectionRefusedError):
        return fail(
            "cache.port.refused",
            f"nothing listens at {endpoint.authority}",
            "the forward is down"
            if target.behind_forward
            else "the server is down, or the port is another one",
            start_again(target),
            f"see who listens: ss -ltn 'sport = :{endpoint.port}'",
        )
    return fail(
        "cache.port.unreachable",
        f"{endpoint.authority} cannot be reached: {_reason(error)}",
        "there is no way from this machine to that address",
        f"see the way: ip route get {endpoint.host}",
    )


def _socket_closed(path: Path, error: OSError) -> Finding:
    stale = error.errno == errno.ECONNREFUSED
    return fail(
        "cache.port.socket",
        f"the socket {path} takes no connections: {'nobody serves it any more' if stale else _reason(error)}",
        "the process behind it has ended, or it belongs to another user",
        "attach again: gfattach up",
    )


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


STAGE: Stage[CacheTarget] = Stage(
    "cache",
    "ask the Bazel cache",
    (
        Probe("cache.resolve", "does the endpoint's name resolve", _resolve, _RESOLVE_CODES),
        Probe("cache.port", "does the port answer", _port, _PORT_CODES, ("cache.resolve",)),
        *SNIFF_PROBES,
        *CAPABILITY_PROBES,
        *CONTENT_PROBES,
    ),
    headline="cache.capabilities",
)
