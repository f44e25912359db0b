"""What the port speaks, before any client is loaded: the protocol that the scheme promises, or another."""

from __future__ import annotations

from gfattach.core.endpoint import Endpoint
from gfattach.core.finding import Finding, Probe, fail, ok
from gfattach.probes.cache.calls import lookup_path, page_of
from gfattach.probes.cache.tls import TLS_PROBE, CacheInquiry, tls_fault, url_by
from gfattach.probes.hints import start_here
from gfattach.reapi.sniff import SniffResult, WireProtocol
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.wire import listen_to

_PROTOCOL_CODES = {
    "cache.protocol.right": "the port speaks what the endpoint's scheme says",
    "cache.protocol.http-for-grpc": "a port that speaks HTTP/1.1 was given for gRPC",
    "cache.protocol.grpc-for-http": "a port that speaks gRPC was given for HTTP",
    "cache.protocol.tls-for-plain": "a TLS port was given for a plaintext scheme",
    "cache.protocol.plain-for-tls": "a plaintext port was given for a TLS scheme",
    "cache.protocol.untrusted": "the certificate's authority is not trusted",
    "cache.protocol.name": "the certificate is for another name",
    "cache.protocol.time": "the certificate has expired, or is not valid yet",
    "cache.protocol.client-certificate": "the server wants a client certificate, or not this one",
    "cache.protocol.handshake": "the server breaks the TLS handshake off",
    "cache.protocol.page": "a web page or a redirect answers: a login, a proxy, or another service",
    "cache.protocol.gateway": "a gateway answers that there is nothing behind it",
    "cache.protocol.silent": "the port takes connections and says nothing",
    "cache.protocol.closed": "the port takes connections and closes them",
    "cache.protocol.unknown": "the port speaks something else",
}


def _protocol(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    try:
        heard = listen_to(target, lookup_path(target), inquiry.deadline)
    except OSError as error:  # it took a connection a moment ago
        heard = SniffResult(WireProtocol.CLOSED, sample=str(error))
    return judge_sniff(target, heard)


def judge_sniff(target: CacheTarget, heard: SniffResult) -> Finding:
    """What it means that `heard` answers at the target's endpoint."""
    endpoint = target.endpoint
    where = f"the socket {target.socket}" if target.socket else endpoint.authority
    if heard.encrypted != endpoint.tls and heard.protocol in (
        WireProtocol.TLS,
        WireProtocol.HTTP1,
        WireProtocol.HTTP2,
    ):
        return _wrong_encryption(endpoint, where, heard)
    if heard.tls is not None and heard.tls.fault is not None:
        return tls_fault(target, heard.tls.fault, heard.tls.detail, heard.tls.names)
    if endpoint.grpc and heard.tls is not None and heard.tls.alpn != "h2":
        agreed = f"agrees on {heard.tls.alpn}" if heard.tls.alpn else "agrees on no protocol"
        return fail(
            "cache.protocol.http-for-grpc",
            f"{where} {agreed} over TLS, and grpcs:// needs h2",
            "an ingress that ends TLS has to be told to pass HTTP/2 on",
            f"use {url_by(endpoint, 'https')}, if the cache speaks HTTP too, or have the ingress pass gRPC",
        )
    if (page := page_of(heard, where)) is not None:
        return fail(
            "cache.protocol.page",
            page[0],
            "a login page, a proxy or another service stands where the cache should",
            page[1],
            f"look at it: curl -si {url_by(endpoint, 'https' if endpoint.tls else 'http')} | head",
        )
    if heard.status in (502, 503, 504):
        return fail(
            "cache.protocol.gateway",
            f"{where} answers {heard.sample}",
            "a gateway stands there, and the cache behind it is down or not ready",
            "ask the operator whether the cache's pods are ready",
        )
    if heard.protocol is WireProtocol.HTTP1 and endpoint.grpc:
        return fail(
            "cache.protocol.http-for-grpc",
            f"{where} speaks HTTP/1.1 ({heard.sample}), and {endpoint.scheme}:// needs HTTP/2",
            "Bazel says only: INTERNAL: http2 exception",
            f"use {url_by(endpoint, 'http')}, or the server's gRPC port (bazel-remote: 9092 beside 8080)",
        )
    if heard.protocol is WireProtocol.HTTP2 and not endpoint.grpc:
        return fail(
            "cache.protocol.grpc-for-http",
            f"{where} speaks gRPC, and {endpoint.scheme}:// is HTTP/1.1",
            "Bazel builds without the cache and does not say so",
            f"use {url_by(endpoint, 'grpc')}",
        )
    if heard.protocol in (WireProtocol.HTTP1, WireProtocol.HTTP2):
        over = " over TLS, with a trusted certificate" if heard.encrypted else ""
        return ok("cache.protocol.right", f"{where} speaks {heard.protocol.value}{over}")
    if heard.protocol is WireProtocol.CLOSED and heard.encrypted:
        return fail(
            "cache.protocol.closed",
            f"{where} agrees on TLS, and then closes the connection",
            "a server that wants a client certificate may do this, and a gateway with nothing behind it",
            "ask the operator whether clients need a certificate, and whether the server runs",
        )
    return _nothing_useful(target, where, heard)


def _wrong_encryption(endpoint: Endpoint, where: str, heard: SniffResult) -> Finding:
    if heard.encrypted:
        agreed = heard.tls.alpn if heard.tls else None
        right = "https" if agreed == "http/1.1" or not endpoint.grpc else "grpcs"
        return fail(
            "cache.protocol.tls-for-plain",
            f"{where} speaks TLS, and {endpoint.scheme}:// is plaintext",
            "Bazel says only: Network closed for unknown reason",
            f"use {url_by(endpoint, right)}",
        )
    right = "grpc" if heard.protocol is WireProtocol.HTTP2 else "http"
    return fail(
        "cache.protocol.plain-for-tls",
        f"{where} speaks plaintext {heard.protocol.value}, and {endpoint.scheme}:// asks for TLS",
        "Bazel says only: not an SSL/TLS record",
        f"use {url_by(endpoint, right)}, if the way there is a forward or otherwise private",
    )


def start_again(target: CacheTarget) -> str:
    """What to start, or whom to ask, when nothing is at the end of the way to `target`."""
    if target.behind_forward:
        return "start the forward again: gfattach up"
    return start_here(target.endpoint, "ask the operator whether the server runs, and at which port")


def _nothing_useful(target: CacheTarget, where: str, heard: SniffResult) -> Finding:
    # The forward has taken the connection: it is there, and knows what became of the other half of the way.
    met = ("see what the forward has met: gfattach logs", "or ask the operator whether the server runs")
    hints = met if target.behind_forward else (start_again(target),)
    if heard.protocol is WireProtocol.SILENT:
        return fail(
            "cache.protocol.silent",
            f"{where} takes connections and says nothing",
            "a tunnel whose far end is dead does this, and Bazel waits six minutes for it",
            *hints,
        )
    if heard.protocol is WireProtocol.CLOSED:
        return fail(
            "cache.protocol.closed",
            f"{where} takes connections and closes them",
            "a forward whose far end is gone does this, and so does a server that wants another protocol",
            *hints,
        )
    return fail(
        "cache.protocol.unknown",
        f"{where} says {heard.sample!r}",
        "this is no cache that Bazel can talk to",
        "check host and port with the operator",
    )


SNIFF_PROBES: tuple[Probe[CacheTarget], ...] = (
    TLS_PROBE,
    Probe(
        "cache.protocol",
        "does the port speak what the scheme says",
        _protocol,
        _PROTOCOL_CODES,
        ("cache.port", "cache.tls"),
        seconds=8.0,
    ),
)
