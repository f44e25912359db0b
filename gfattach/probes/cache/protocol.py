"""Bazel as a client of the cache's endpoint, and what it makes of the protocol that is spoken there."""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, fail
from gfattach.net.route import Route, to_host, to_socket
from gfattach.net.sniff import SniffResult, WireProtocol
from gfattach.probes.endpoint.client import EndpointClient, where_of
from gfattach.probes.endpoint.protocol import PROTOCOLS, judge, sniff, url_by
from gfattach.proof.protocol import probe_action
from gfattach.reapi.http_client import path_of
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.tls import context
from gfattach.tls.purpose import Purpose

CacheInquiry = Inquiry[CacheTarget]


def route_of(target: CacheTarget) -> Route:
    """To the target's socket, or else to its host and port."""
    endpoint = target.endpoint
    return to_host(endpoint.host, endpoint.port) if target.socket is None else to_socket(target.socket)


def lookup_path(target: CacheTarget) -> str:
    """Where a cache over HTTP has the probe action."""
    return path_of(target, f"ac/{probe_action().action.hash}")


CLIENT: EndpointClient[CacheTarget] = EndpointClient(
    prefix="cache",
    purpose=Purpose.CACHE,
    setting="cache.endpoint",
    unnamed="Bazel would wait 3 s for the name at every command",
    refused="Bazel goes on without the cache, after retries, or ends: nothing is shared",
    silent="Bazel would wait for minutes, where a refused connection costs it 0.2 s",
    mistaken="Bazel says only: Network closed for unknown reason",
    first_hop=lambda target: (target.endpoint.host, target.endpoint.port),
    route=route_of,
    context=lambda target: context(target.tls, ("h2", "http/1.1") if target.endpoint.grpc else ("http/1.1",)),
    path=lookup_path,
)

_CODES = {
    **CLIENT.codes("protocol", PROTOCOLS),
    "cache.protocol.http-for-grpc": "a port that speaks HTTP/1.1 was given for gRPC",
    "cache.protocol.grpc-for-http": "a port that speaks gRPC was given for HTTP",
    "cache.protocol.page": "a web page or a redirect answers: a login, a proxy, or another service",
    "cache.protocol.gateway": "a gateway answers that there is nothing behind it",
}


def _protocol(inquiry: CacheInquiry) -> Finding:
    return judge_sniff(inquiry.subject, sniff(CLIENT, inquiry.subject, inquiry.deadline))


def judge_sniff(target: CacheTarget, heard: SniffResult) -> Finding:
    """What it means that `heard` answers at the target's endpoint."""
    endpoint, where = target.endpoint, where_of(target)
    if heard.encrypted == endpoint.tls:
        http = "https" if endpoint.tls else "http"
        if (page := page_of(heard, where)) is not None:
            return fail(
                "cache.protocol.page",
                page[0],
                "a login page, a proxy or another service stands where the cache should",
                page[1],
                f"look at it: curl -si {url_by(endpoint, http)} | head",
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
                f"use {url_by(endpoint, http)}, or the server's gRPC port (bazel-remote: 9092 beside 8080)",
            )
        if heard.protocol is WireProtocol.HTTP2 and not endpoint.grpc:
            return fail(
                "cache.protocol.grpc-for-http",
                f"{where} speaks gRPC, and {endpoint.scheme}:// is HTTP/1.1",
                "Bazel builds without the cache and does not say so",
                f"use {url_by(endpoint, 'grpcs' if endpoint.tls else 'grpc')}",
            )
    return judge(CLIENT, target, heard)


def page_of(heard: SniffResult, where: str) -> tuple[str, str] | None:
    """What is seen and what to look at, when what answers is a web page or a redirect; None otherwise."""
    if heard.is_page:
        return f"{where} answers with a web page ({heard.sample})", "log in there, or name the cache itself"
    if 300 <= heard.status < 400:
        to = f" to {heard.location}" if heard.location else ""
        return (
            f"{where} redirects{to} ({heard.sample})",
            "name the address that it leads to, if that is the cache",
        )
    return None


PROTOCOL: Probe[CacheTarget] = Probe(
    "cache.protocol",
    "does the port speak what the scheme says",
    _protocol,
    _CODES,
    ("cache.port",),
    seconds=8.0,
)
