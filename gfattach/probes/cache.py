"""Stage "cache": the Bazel remote cache, asked from the name down to a blob.

Questions that the protocol itself answers stand in `cache_protocol`; here are the ways to it.
"""

from __future__ import annotations

import errno
import os
import socket

from gfattach.finding import Finding, Inquiry, Probe, Stage, fail, ok
from gfattach.probes.cache_protocol import PROTOCOL_PROBES
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.wire import Heard, Speech, listen_to

CacheInquiry = Inquiry[CacheTarget]

_RESOLVE_CODES = {
    "cache.resolve.found": "the endpoint's name has addresses",
    "cache.resolve.unknown": "the endpoint's name is not known here",
    "cache.resolve.socket": "the endpoint is reached through a socket: no name is looked up",
}


def _resolve(inquiry: CacheInquiry) -> Finding:
    endpoint = inquiry.subject.endpoint
    if inquiry.subject.socket is not None:
        return ok("cache.resolve.socket", f"{endpoint.host} is reached through {inquiry.subject.socket}")
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return fail(
            "cache.resolve.unknown",
            f"the name {endpoint.host} is not known here: {getattr(error, 'strerror', None) or error}",
            "Bazel would wait 3 s for it at every command",
            "an in-cluster name is known only in the cluster: attach through a forward or an ingress",
            f"look it up: getent hosts {endpoint.host}",
        )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ok("cache.resolve.found", f"{endpoint.host} is {', '.join(addresses[:4])}", addresses=addresses)


_PORT_CODES = {
    "cache.port.open": "the port takes connections",
    "cache.port.refused": "nothing listens on the port",
    "cache.port.silent": "the port does not answer at all: a firewall, or no way there",
    "cache.port.unreachable": "there is no way to the host",
    "cache.port.socket": "the unix socket is missing, stale or not ours",
}


def _port(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if target.socket is not None:
        return _unix_port(inquiry)
    try:
        _connect(inquiry).close()
    except TimeoutError:
        return fail(
            "cache.port.silent",
            f"no answer from {target.endpoint.authority} within the deadline",
            "a silent endpoint stalls Bazel for minutes, where a refused one costs it 0.2 s",
            "is the VPN up, and is the port right?",
        )
    except ConnectionRefusedError:
        return fail(
            "cache.port.refused",
            f"nothing listens at {target.endpoint.authority}",
            "the forward or the server is down, or the port is another one",
            f"see who listens: ss -ltn 'sport = :{target.endpoint.port}'",
        )
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        return fail(
            "cache.port.unreachable",
            f"{target.endpoint.authority} cannot be reached: {reason}",
            "there is no way from this machine to that address",
            f"see the way: ip route get {target.endpoint.host}",
        )
    return ok("cache.port.open", f"{target.endpoint.authority} takes connections")


def _unix_port(inquiry: CacheInquiry) -> Finding:
    path = inquiry.subject.socket
    assert path is not None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(max(0.01, inquiry.deadline.remaining()))
        try:
            connection.connect(str(path))
        except OSError as error:
            reason = (
                "is stale" if error.errno == errno.ECONNREFUSED else os.strerror(error.errno or 0).lower()
            )
            return fail(
                "cache.port.socket",
                f"the socket {path} does not take connections: {reason}",
                "the process behind it has ended",
                "attach again: gfattach up",
            )
    return ok("cache.port.open", f"the socket {path} takes connections")


_PROTOCOL_CODES = {
    "cache.protocol.right": "the port speaks what the endpoint's scheme says",
    "cache.protocol.http-for-grpc": "a port that speaks HTTP was given for gRPC",
    "cache.protocol.grpc-for-http": "a port that speaks gRPC was given for HTTP",
    "cache.protocol.tls-for-plain": "a TLS port was given for a plaintext scheme",
    "cache.protocol.plain-for-tls": "a plaintext port was given for a TLS scheme",
    "cache.protocol.untrusted": "the certificate is not trusted, or is for another name",
    "cache.protocol.page": "a web page answers: a login, a proxy, or another service",
    "cache.protocol.silent": "the port takes connections and says nothing",
    "cache.protocol.unknown": "the port speaks something else",
    "cache.protocol.socket": "the endpoint is reached through a socket: the calls show what it speaks",
}


def _protocol(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if target.socket is not None:
        return ok("cache.protocol.socket", "what the socket speaks shows in the calls below")
    endpoint = target.endpoint
    address = (inquiry.known("cache.resolve", "addresses", [endpoint.host])[0], endpoint.port)
    try:
        heard = listen_to(address, endpoint.host, target.tls.ca_file, inquiry.deadline)
    except OSError as error:
        heard = Heard(Speech.CLOSED, sample=str(error))
    return judge_speech(target, heard)


def judge_speech(target: CacheTarget, heard: Heard) -> Finding:
    """What it means that `heard` answers at the target's endpoint."""
    endpoint, where = target.endpoint, target.endpoint.authority
    if heard.page:
        return fail(
            "cache.protocol.page",
            f"{where} answers with a web page ({heard.sample})",
            "a login page, a proxy or another service stands where the cache should",
            f"look at it: curl -si http://{where}/ | head",
        )
    if heard.speech is Speech.TLS and not endpoint.tls:
        right = {"grpc": "grpcs", "http": "https"}[endpoint.scheme]
        return fail(
            "cache.protocol.tls-for-plain",
            f"{where} speaks TLS, and {endpoint.scheme}:// is plaintext",
            "Bazel says only: Network closed for unknown reason",
            f"use {right}://{where}{endpoint.path}",
        )
    if heard.speech in (Speech.HTTP1, Speech.HTTP2) and endpoint.tls:
        right = "grpc" if heard.speech is Speech.HTTP2 else "http"
        return fail(
            "cache.protocol.plain-for-tls",
            f"{where} speaks plaintext {heard.speech.value}, and {endpoint.scheme}:// asks for TLS",
            "Bazel says only: not an SSL/TLS record",
            f"use {right}://{where}{endpoint.path}, if the way there is a forward or otherwise private",
        )
    if heard.speech is Speech.TLS:
        return _judge_tls(target, heard)
    if heard.speech is Speech.HTTP1 and endpoint.grpc:
        return fail(
            "cache.protocol.http-for-grpc",
            f"{where} speaks HTTP/1.1 ({heard.sample}), and grpc:// needs HTTP/2",
            "Bazel says only: INTERNAL: http2 exception",
            f"use http://{where}, or the server's gRPC port (bazel-remote: 9092 beside 8080)",
        )
    if heard.speech is Speech.HTTP2 and not endpoint.grpc:
        return fail(
            "cache.protocol.grpc-for-http",
            f"{where} speaks gRPC, and http:// is HTTP/1.1",
            "Bazel builds without the cache and does not say so",
            f"use grpc://{where}",
        )
    if heard.speech in (Speech.HTTP1, Speech.HTTP2):
        return ok("cache.protocol.right", f"{where} speaks {'gRPC' if endpoint.grpc else 'HTTP'}")
    if heard.speech is Speech.SILENT:
        return fail(
            "cache.protocol.silent",
            f"{where} takes connections and says nothing",
            "a tunnel whose far end is dead does this, and Bazel waits six minutes for it",
            "start the forward again, or ask the operator whether the server runs",
        )
    said = f"says {heard.sample!r}" if heard.sample else "closes every connection"
    return fail(
        "cache.protocol.unknown",
        f"{where} {said}",
        "this is no cache that Bazel can talk to",
        "check host and port with the operator",
    )


def _judge_tls(target: CacheTarget, heard: Heard) -> Finding:
    endpoint = target.endpoint
    if heard.distrust:
        authority = (
            f"the authority in {target.tls.ca_file}" if target.tls.ca_file else "this machine's trust store"
        )
        return fail(
            "cache.protocol.untrusted",
            f"the certificate of {endpoint.authority} is not trusted for {endpoint.host}: {heard.distrust}",
            f"it is checked against {authority}; Bazel says only: General OpenSslEngine problem",
            "name the site's authority: --ca-file FILE, or cache.ca_file in gfattach.toml",
            f"see it: openssl s_client -connect {endpoint.authority} -servername {endpoint.host}",
        )
    if endpoint.grpc and heard.alpn not in ("h2", None):
        return fail(
            "cache.protocol.http-for-grpc",
            f"{endpoint.authority} agrees on {heard.alpn} over TLS, and grpcs:// needs h2",
            "an ingress that ends TLS has to be told to pass HTTP/2 on",
            f"use https://{endpoint.authority}, or have the ingress speak gRPC",
        )
    return ok(
        "cache.protocol.right", f"{endpoint.authority} speaks TLS with a trusted certificate", alpn=heard.alpn
    )


def _connect(inquiry: CacheInquiry) -> socket.socket:
    endpoint = inquiry.subject.endpoint
    return socket.create_connection(
        (endpoint.host, endpoint.port), timeout=max(0.01, inquiry.deadline.remaining() - 0.1)
    )


STAGE: Stage[CacheTarget] = Stage(
    "cache",
    "ask the Bazel cache",
    (
        Probe("cache.resolve", "does the endpoint's name resolve", _resolve, _RESOLVE_CODES),
        Probe("cache.port", "does the port answer", _port, _PORT_CODES, ("cache.resolve",)),
        Probe(
            "cache.protocol",
            "does the port speak what the scheme says",
            _protocol,
            _PROTOCOL_CODES,
            ("cache.port",),
            seconds=8.0,
        ),
        *PROTOCOL_PROBES,
    ),
)
