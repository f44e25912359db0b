"""Does the endpoint's name resolve, and does its port take connections?"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import is_localhost
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok
from gfattach.net.errors import DialError, of_name, of_port, shown
from gfattach.probes.endpoint.client import EndpointClient, TargetT, start_hint

_RESOLVE = {
    "ok": "the endpoint's name has addresses, or needs none",
    "unknown": "the endpoint's name has no address",
    "cluster": "the endpoint's name is one of inside a cluster, and this machine is outside",
    "unanswered": "no DNS server answered: nothing is known of the name",
}

_PORT = {
    "ok": "the port accepts connections",
    "refused": "nothing listens on the port",
    "silent": "the port neither accepts nor refuses: a firewall, or no route",
    "unreachable": "there is no route to the host",
}

_SOCKET = {"socket": "the unix socket is missing, stale or not ours"}


def reach_probes(
    client: EndpointClient[TargetT], *, needs: tuple[str, ...] = (), sockets: bool = False
) -> tuple[Probe[TargetT], ...]:
    """The probes PREFIX.resolve and PREFIX.port; `needs` are what they wait for."""

    def resolve(inquiry: Inquiry[TargetT]) -> Finding:
        return _resolve(client, inquiry.subject)

    def port(inquiry: Inquiry[TargetT]) -> Finding:
        return _port(client, inquiry)

    resolved = client.code("resolve")
    return (
        Probe(
            resolved, "does the endpoint's name resolve", resolve, client.codes("resolve", _RESOLVE), needs
        ),
        Probe(
            client.code("port"),
            "does the port accept connections",
            port,
            client.codes("port", _PORT | (_SOCKET if sockets else {})),
            (resolved,),
        ),
    )


def _resolve(client: EndpointClient[TargetT], target: TargetT) -> Finding:
    if target.socket is not None:
        return ok(client.code("resolve.ok"), f"{target.endpoint.host} is reached through {target.socket}")
    host, port = client.first_hop(target)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return _unresolved(client, host, of_name(host, error))
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    seen = f"{host} is {', '.join(addresses[:4])}"
    return ok(client.code("resolve.ok"), seen, host=host, addresses=addresses)


def _unresolved(client: EndpointClient[TargetT], host: str, error: DialError) -> Finding:
    if error.temporary:
        return fail(client.code("resolve.unanswered"), error.fact, client.unnamed, *error.hints, host=host)
    if host.rstrip(".").endswith((".svc", ".cluster.local")):
        return fail(
            client.code("resolve.cluster"),
            f"{error.fact}: it is a name of inside a cluster",
            "only the cluster's own DNS server knows it",
            "attach through a forward (gfattach up, with no endpoint named), or name the site's ingress in "
            f"{client.setting}",
            host=host,
        )
    hints = (f"check the spelling in {client.setting}: gfattach site show", *error.hints)
    return fail(client.code("resolve.unknown"), error.fact, client.unnamed, *hints, host=host)


def _port(client: EndpointClient[TargetT], inquiry: Inquiry[TargetT]) -> Finding:
    target = inquiry.subject
    deadline = Deadline(inquiry.deadline.at - 0.1)
    seconds = deadline.remaining()
    try:
        _hop(client, target)(deadline).close()
    except OSError as error:
        if target.socket is not None:
            return _socket_closed(client, target.socket, error)
        return _closed(client, target, of_port(*client.first_hop(target), error, seconds))
    where = f"the socket {target.socket}" if target.socket else shown(*client.first_hop(target))
    return ok(client.code("port.ok"), f"{where} accepts connections")


def _hop(client: EndpointClient[TargetT], target: TargetT) -> Callable[[Deadline], socket.socket]:
    from gfattach.net.route import to_host, to_socket

    return to_socket(target.socket) if target.socket else to_host(*client.first_hop(target))


def _closed(client: EndpointClient[TargetT], target: TargetT, error: DialError) -> Finding:
    host, port = client.first_hop(target)
    if is_localhost(host) and not target.endpoint.localhost:
        start = "start the proxy that this shell names, or name none: env | grep -i proxy"
    else:
        start = start_hint(target, client.setting)
    if error.kind == "silent":
        return fail(client.code("port.silent"), error.fact, client.silent, *error.hints, start)
    if error.kind == "refused":
        look = f"see who listens: ss -ltn 'sport = :{port}'" if is_localhost(host) else error.hints[0]
        return fail(client.code("port.refused"), error.fact, client.refused, start, look)
    why = "there is no route from this machine to that network"
    return fail(client.code("port.unreachable"), error.fact, why, start, *error.hints)


def _socket_closed(client: EndpointClient[TargetT], path: Path, error: OSError) -> Finding:
    stale = error.errno == errno.ECONNREFUSED
    said = os.strerror(error.errno).lower() if error.errno else str(error)
    return fail(
        client.code("port.socket"),
        f"the socket {path} takes no connections: {'no process serves it any more' if stale else said}",
        "the process behind it has ended, or it belongs to another user",
        "attach again: gfattach up",
    )
