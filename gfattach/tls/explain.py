"""What an inspection comes to, in words: parts of findings, for every stage that has a TLS server.

A part answers one question: does it speak TLS (`handshake`), is its authority trusted (`trust`), for whom is
it (`name`), since when and until when (`validity`), and does it know its clients by certificates
(`client`). In that order one hides the next, so the first that failed is the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gfattach.tls.explain_time import validity
from gfattach.tls.explain_trust import trust
from gfattach.tls.fault import Fault
from gfattach.tls.inspection import Inspection
from gfattach.tls.part import Part, bad, good, warned
from gfattach.tls.purpose import Purpose

#: What each part can come to, by topic and word, with its meaning.
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "handshake": {
            "ok": "TLS is spoken there",
            "unreachable": "there is no connection to be had",
            "silent": "connections are accepted and no response is sent",
            "closed": "connections are accepted and closed",
            "plaintext": "a plaintext port was given for a TLS endpoint",
            "broken": "the server ends the handshake",
            "alpn": "the server agrees on none of the protocols on offer, as on HTTP/2, which gRPC needs",
        },
        "trust": {
            "ok": "an authority that is trusted signed the certificate",
            "self-signed": "the certificate is self-signed, and not in the trust store",
            "authority-missing": "the authority that signed the certificate is not trusted",
            "authority-renewed": "an authority of that name is trusted, and has another key",
            "intermediate-missing": "the server does not send the certificate between its own and the root",
            "chain": "the chain of certificates does not hold",
            "unchecked": "the certificate is not verified: the check is switched off",
        },
        "name": {
            "ok": "the certificate is for the name that is asked for",
            "other": "the certificate is for other names",
            "none": "the certificate has no subjectAltName",
        },
        "validity": {
            "ok": "the certificates are valid now, and for a while",
            "soon": "a certificate expires within two weeks",
            "expired": "a certificate has expired",
            "not-yet": "a certificate is not valid yet",
            "clock": "the clocks of this machine and of the server differ, and a certificate is out of time",
        },
        "client": {
            "ok": "no client certificate is wanted, or the one that is shown is taken",
            "missing": "the server wants a client certificate, and there is none",
            "refused": "the server does not take the client certificate",
        },
    }
)


def codes(prefix: str, topic: str) -> dict[str, str]:
    """The codes that findings of `topic` can have below `prefix`, with their meanings."""
    return {f"{prefix}.{topic}.{word}": meaning for word, meaning in WORDS[topic].items()}


def cause(inspection: Inspection, where: str, purpose: Purpose) -> Part:
    """Why a server that failed its handshake cannot be used: the first part that failed."""
    parts = (
        handshake(inspection, where, purpose),
        trust(inspection, where, purpose),
        name(inspection, where, purpose),
        validity(inspection, where, purpose),
        client(inspection, where, purpose),
    )
    return next((part for part in parts if part.failed), parts[0])


def handshake(inspection: Inspection, where: str, purpose: Purpose) -> Part:
    """Whether TLS is spoken, and what else is, if not."""
    fault = inspection.fault
    if fault is Fault.UNREACHABLE:
        return bad(
            "handshake",
            "unreachable",
            f"{where} cannot be reached: {inspection.detail}",
            "nothing can be asked of it",
            "see whether the server runs, and a forward that leads to it: gfattach status",
        )
    if fault is Fault.PLAINTEXT:
        heard = f" ({inspection.sample})" if inspection.sample else ""
        return bad(
            "handshake",
            "plaintext",
            f"{where} does not speak TLS, but plaintext{heard}",
            "TLS was asked for, and a client takes the answer for a broken connection",
            purpose.scheme_hint,
        )
    if fault is Fault.SILENT:
        return bad(
            "handshake",
            "silent",
            f"{where} accepts connections but sends no response (timeout)",
            "a tunnel whose far end is dead does this, and Bazel waits six minutes for it",
            "see whether the server runs, and a forward that leads to it: gfattach status",
        )
    if fault is Fault.CLOSED:
        shaken = "agrees on TLS, and then closes the connection"
        return bad(
            "handshake",
            "closed",
            f"{where} {shaken if inspection.version else 'accepts connections and closes them'}",
            "a gateway with nothing behind it does this, and a forward whose far end is gone",
            "ask the operator whether the server runs",
        )
    if fault is Fault.ALPN:
        return _no_protocol(f"{where} refuses the protocols on offer (ALPN): {inspection.detail}", inspection)
    if fault is Fault.HANDSHAKE:
        mutual = "handshake failure" in inspection.detail and not inspection.identified
        return bad(
            "handshake",
            "broken",
            f"{where} ends the TLS handshake: {inspection.detail}",
            f"it does not serve the name {inspection.name}, or no version of TLS is common to both",
            *(["a server of TLS 1.2 that wants a client certificate says no more than this"] * mutual),
            "check the name with the operator",
        )
    if inspection.offered[:1] == ("h2",) and inspection.version and inspection.alpn != "h2":
        agreed = f"agrees on {inspection.alpn}" if inspection.alpn else "agrees on no protocol"
        return _no_protocol(f"{where} {agreed} over TLS, and gRPC needs h2", inspection)
    spoken = ", ".join(word for word in (inspection.version or "TLS", inspection.alpn) if word)
    return good("handshake", f"{where} speaks {spoken}", version=inspection.version, alpn=inspection.alpn)


def _no_protocol(seen: str, inspection: Inspection) -> Part:
    if inspection.offered[:1] == ("h2",):
        return bad(
            "handshake",
            "alpn",
            seen,
            "an ingress that ends TLS has to be told to pass HTTP/2 on",
            "ask the operator to have it pass gRPC, or use https:// if the cache speaks HTTP too",
        )
    return bad(
        "handshake",
        "alpn",
        seen,
        "it speaks HTTP/2 alone, and HTTP/1.1 was offered",
        "use grpcs://, if it is a gRPC server, or ask the operator to have it speak HTTP/1.1",
    )


def name(inspection: Inspection, where: str, purpose: Purpose) -> Part:
    """Whether the certificate is for the name that is verified."""
    own = inspection.certificate
    wanted = inspection.name
    if own is not None and not own.names and inspection.fault is None:
        return warned(
            "name",
            "none",
            f"the certificate of {where} has no subjectAltName, only the subject {own.subject}",
            "some clients take the common name, and others (Go's, browsers) do not",
            f"ask the operator for a certificate with the name {wanted}",
        )
    if inspection.fault is not Fault.NAME and (
        # Only where OpenSSL did not come to look at the name, or was not let, it is looked at here.
        inspection.fault is not Fault.UNTRUSTED or own is None or own.is_for(wanted)
    ):
        return good("name", f"the certificate of {where} is for {wanted}")
    names = inspection.names
    if own is not None and not names:
        return bad(
            "name",
            "none",
            f"the certificate of {where} has no subjectAltName, only the subject {own.subject}",
            "a name counts only there, and its common name is another anyway",
            f"ask the operator for a certificate with the name {wanted}",
        )
    theirs = f"for {', '.join(names[:5])}, and " if names else ""
    right = next((known for known in names if "*" not in known), "")
    return bad(
        "name",
        "other",
        f"the certificate of {where} is {theirs}not for {wanted}{'' if names else f': {inspection.detail}'}",
        "another server answers, or it is known by another name",
        *([purpose.name_hint(right)] if right else []),
        f"ask the operator for a certificate with the name {wanted}",
        names=list(names),
    )


def client(inspection: Inspection, where: str, purpose: Purpose) -> Part:
    """Whether the server knows its clients by certificates, and this one."""
    if inspection.fault is not Fault.CLIENT_CERTIFICATE:
        if inspection.identified:
            return good("client", f"{where} takes the client certificate, or asks for none")
        return good("client", f"{where} asks for no client certificate, or does without")
    if inspection.identified:
        return bad(
            "client",
            "refused",
            f"{where} does not take the client certificate: {inspection.detail}",
            "it has expired, or an authority signed it that the server does not know",
            "look at it: openssl x509 -noout -subject -issuer -enddate -in FILE",
            purpose.identity_hint,
        )
    return bad(
        "client",
        "missing",
        f"{where} wants a client certificate: {inspection.detail}",
        "it knows its clients by certificates (mutual TLS)",
        purpose.identity_hint,
    )
