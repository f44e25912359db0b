"""TLS towards a cache: whether its files can be used, and what a handshake that failed means."""

from __future__ import annotations

from dataclasses import replace

from gfattach.core.endpoint import Endpoint
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, warn
from gfattach.core.quote import word
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.tls import TlsFileError, client_certificate, context
from gfattach.tls.fault import Fault, broken_off, client_refused, for_others, not_valid_now, untrusted
from gfattach.tls.pem import KeyForm, key_form

CacheInquiry = Inquiry[CacheTarget]

_TLS_CODES = {
    "cache.tls.good": "the TLS files can be used, or the platform's trust store is",
    "cache.tls.plain": "the endpoint is plaintext: no TLS file is needed",
    "cache.tls.file": "a TLS file is missing, unreadable, or does not hold what it should",
    "cache.tls.key-form": "the client's key is not PKCS#8, the only form that Bazel takes",
}


def _tls(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if not target.endpoint.tls:
        return ok("cache.tls.plain", f"{target.endpoint.scheme}:// uses no TLS: no file is needed")
    try:
        context(target.tls)
        identity = client_certificate(target.tls)
    except TlsFileError as error:
        why = "Bazel ends with 37 and says nothing when a TLS file is not right"
        return fail("cache.tls.file", error.fact, why, *error.hints)
    if identity is not None and key_form(identity[0]) is not KeyForm.PKCS8:
        key = target.tls.key or target.tls.certificate
        return warn(
            "cache.tls.key-form",
            f"the key in {key} is not in PKCS#8 form",
            "Bazel takes no other form: it ends with 37 and says nothing",
            f"convert it: openssl pkcs8 -topk8 -nocrypt -in {word(str(key))} -out {word(f'{key}.pk8')}",
        )
    return ok("cache.tls.good", f"{_authority(target)} decides whom to trust")


def tls_fault(target: CacheTarget, fault: Fault, detail: str, names: tuple[str, ...]) -> Finding:
    """What it means that a handshake with the target's endpoint ended with `fault`."""
    endpoint = target.endpoint
    look = f"see it: openssl s_client -connect {word(endpoint.authority)} -servername {word(endpoint.host)}"
    silent = "Bazel says only: General OpenSslEngine problem"
    if fault is Fault.NAME:
        right = next((name for name in names if "*" not in name), None)
        use = (
            f"use {url_by(replace(endpoint, host=right), endpoint.scheme)}"
            if right
            else "name the server as it does"
        )
        return fail(
            "cache.protocol.name",
            for_others(endpoint.authority, names, endpoint.host),
            silent,
            f"{use}, or ask the operator for a certificate with this name",
            look,
            names=list(names),
        )
    if fault is Fault.TIME:
        return fail(
            "cache.protocol.time",
            not_valid_now(endpoint.authority, detail),
            f"it has to be renewed, or this machine's clock is wrong; {silent}",
            "see the clock: date -u",
            look,
        )
    if fault is Fault.CLIENT_CERTIFICATE:
        return fail(
            "cache.protocol.client-certificate",
            client_refused(endpoint.authority, bool(target.tls.certificate), detail),
            "it knows its clients by certificates (mutual TLS), and Bazel needs the same one",
            "ask the operator for a certificate and its key, or for an endpoint with tokens",
        )
    if fault is Fault.HANDSHAKE:
        return fail(
            "cache.protocol.handshake",
            broken_off(endpoint.authority, detail),
            "it does not know the name that it is asked by, or no version of TLS is common to both",
            "check the endpoint's name with the operator",
            look,
        )
    return fail(
        "cache.protocol.untrusted",
        untrusted(endpoint.authority, detail),
        f"{_authority(target)} decides, and does not know who signed it; {silent}",
        "name the site's authority: --ca-file FILE, or cache.ca_file in gfattach.toml",
        look,
    )


def url_by(endpoint: Endpoint, scheme: str) -> str:
    """The endpoint with another scheme, as text; gRPC has no path."""
    path = "" if scheme.startswith("grpc") else endpoint.path
    return replace(endpoint, scheme=scheme, path=path).url


def _authority(target: CacheTarget) -> str:
    ca_file = target.tls.ca_file
    return f"the authority in {ca_file}" if ca_file else "this machine's trust store"


TLS_PROBE: Probe[CacheTarget] = Probe("cache.tls", "can the TLS files be used", _tls, _TLS_CODES)
