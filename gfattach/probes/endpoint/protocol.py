"""What the port speaks, before any client is loaded: the protocol that the scheme promises, or another."""

from __future__ import annotations

from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import GfattachError
from gfattach.core.finding import Finding, fail, ok
from gfattach.net.conversation import Sniffer
from gfattach.net.sniff import SniffResult, WireProtocol
from gfattach.probes.endpoint.client import EndpointClient, Target, TargetT, start_hint, where_of
from gfattach.tls.explain import cause
from gfattach.tls.fault import Fault
from gfattach.tls.inspection import Inspection

#: What every endpoint may turn out to speak, by the end of the code.
PROTOCOLS = {
    "ok": "the port speaks what the endpoint's scheme says",
    "tls-for-plain": "a TLS port was given for a plaintext scheme",
    "silent": "the port accepts connections but sends no response",
    "closed": "the port closes the connections that it accepts, or TLS fails (see its certificate's stage)",
    "unknown": "the port speaks something else",
}


def sniff(client: EndpointClient[TargetT], target: TargetT, deadline: Deadline) -> SniffResult:
    """What the target's port speaks."""
    try:
        context = client.context(target) if target.endpoint.tls else None
        sniffer = Sniffer(client.route(target), target.endpoint, client.path(target), deadline, context)
        return sniffer.heard()
    except TimeoutError:
        return SniffResult(WireProtocol.SILENT)
    except (OSError, GfattachError) as error:  # it took a connection a moment ago
        return SniffResult(WireProtocol.CLOSED, sample=str(error))


def judge(client: EndpointClient[TargetT], target: TargetT, heard: SniffResult) -> Finding:
    """What it means that `heard` answers at the target's endpoint."""
    endpoint, where = target.endpoint, where_of(target)
    if heard.encrypted and not endpoint.tls:
        agreed = heard.tls.alpn if heard.tls else None
        right = "https" if agreed == "http/1.1" or not endpoint.grpc else "grpcs"
        return fail(
            client.code("protocol.tls-for-plain"),
            f"{where} speaks TLS, and {endpoint.scheme}:// is plaintext",
            client.mistaken,
            f"use {url_by(endpoint, right)}",
        )
    if endpoint.tls and not heard.encrypted and heard.protocol in (WireProtocol.HTTP1, WireProtocol.HTTP2):
        plain = Inspection(endpoint.host, fault=Fault.PLAINTEXT, sample=heard.sample or heard.protocol.value)
        heard = replace(heard, tls=plain)
    if heard.tls is not None and (part := cause(heard.tls, where, client.purpose)).failed:
        # The stage of certificates comes first, and says more.
        return fail(client.code("protocol.closed"), part.seen, client.purpose.silence, *part.hints)
    if heard.protocol in (WireProtocol.HTTP1, WireProtocol.HTTP2) and heard.encrypted == endpoint.tls:
        over = f" over {heard.tls.version}, with a trusted certificate" if heard.tls else ""
        return ok(client.code("protocol.ok"), f"{where} speaks {heard.protocol.value}{over}")
    return _nothing_useful(client, target, heard)


def _nothing_useful(client: EndpointClient[TargetT], target: TargetT, heard: SniffResult) -> Finding:
    where, over = where_of(target), " over TLS" if heard.encrypted else ""
    hints = _hints(client, target)
    if heard.protocol is WireProtocol.SILENT:
        return fail(
            client.code("protocol.silent"),
            f"{where} accepts connections{over} but sends no response (timeout)",
            "a tunnel whose far end is dead does this; " + client.silent,
            *hints,
        )
    if heard.protocol is WireProtocol.CLOSED:
        agreed = "agrees on TLS, and then closes the connection"
        return fail(
            client.code("protocol.closed"),
            heard.sample or f"{where} {agreed if heard.encrypted else 'accepts connections and closes them'}",
            "a forward or gateway with nothing behind it does this, and a server that wants another protocol",
            *hints,
        )
    said = f"speaks plaintext {heard.protocol.value}" if not heard.sample else f"says {heard.sample!r}"
    return fail(
        client.code("protocol.unknown"),
        f"{where} {said}{over}",
        f"this is no cache that can be talked to by {target.endpoint.scheme}://",
        f"check host and port in {client.setting} with the operator: gfattach site show",
    )


def _hints(client: EndpointClient[TargetT], target: Target) -> tuple[str, ...]:
    # The forward has taken the connection: it is there, and knows what its upstream did.
    if target.behind_forward:
        return ("see what the forward has met: gfattach logs", "see whether it is healthy: gfattach status")
    return (start_hint(target, client.setting),)


def url_by(endpoint: Endpoint, scheme: str) -> str:
    """The endpoint with another scheme, as text; gRPC has no path."""
    path = "" if scheme.startswith("grpc") else endpoint.path
    return replace(endpoint, scheme=scheme, path=path).url
