"""What an inspection comes to, in words: parts of findings, for every stage that has a TLS server.

A part answers one question: does it speak TLS (`handshake`), who vouches for it (`trust`), for whom is
it (`name`), since when and until when (`validity`), and does it know its clients by certificates
(`client`). In that order one hides the next, so the first that failed is the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gfattach.tls.fault import Fault, broken_off, client_refused, for_others
from gfattach.tls.inspection import Inspection
from gfattach.tls.part import Part, bad, good, warned

#: What each part can come to, by topic and word, with its meaning.
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "handshake": {
            "good": "TLS is spoken there",
            "unreachable": "there is no connection to be had",
            "silent": "connections are taken and nothing is said",
            "closed": "connections are taken and closed",
            "plaintext": "a plaintext port was given for a TLS endpoint",
            "broken": "the server breaks the handshake off",
            "alpn": "the server does not agree on HTTP/2, which gRPC needs",
        },
        "trust": {
            "good": "an authority that is trusted vouches for the server",
            "self-signed": "the server's certificate is signed by nobody but itself, and not trusted",
            "authority-missing": "the authority that vouches for the server is not trusted",
            "authority-renewed": "an authority of that name is trusted, and has another key",
            "intermediate-missing": "the server does not send the certificate between its own and the root",
            "chain": "the chain of certificates does not hold",
            "unchecked": "nobody looks at the certificate: the check is switched off",
        },
        "name": {
            "good": "the certificate is for the name that is asked for",
            "other": "the certificate is for other names",
            "none": "the certificate names nobody in the place that counts",
        },
        "validity": {
            "good": "the certificates are valid now, and for a while",
            "soon": "a certificate expires within two weeks",
            "expired": "a certificate has expired",
            "not-yet": "a certificate is not valid yet",
            "clock": "the clocks of this machine and of the server differ, and a certificate is out of time",
        },
        "client": {
            "good": "no client certificate is wanted, or the one that is shown is taken",
            "missing": "the server wants a client certificate, and there is none",
            "refused": "the server does not take the client certificate",
        },
    }
)


def codes(prefix: str, topic: str) -> dict[str, str]:
    """The codes that findings of `topic` can have below `prefix`, with their meanings."""
    return {f"{prefix}.{topic}.{word}": meaning for word, meaning in WORDS[topic].items()}


def handshake(inspection: Inspection, where: str) -> Part:
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
        return bad(
            "handshake",
            "plaintext",
            f"{where} speaks plaintext ({inspection.sample}), and TLS was asked for",
            "Bazel says only: not an SSL/TLS record",
            "use the plaintext scheme (grpc, http), if the way there is a forward or otherwise private",
        )
    if fault is Fault.SILENT:
        return bad(
            "handshake",
            "silent",
            f"{where} takes connections and says nothing",
            "a tunnel whose far end is dead does this, and Bazel waits six minutes for it",
            "see whether the server runs, and a forward that leads to it: gfattach status",
        )
    if fault is Fault.CLOSED:
        shaken = "agrees on TLS, and then closes the connection"
        return bad(
            "handshake",
            "closed",
            f"{where} {shaken if inspection.version else 'takes connections and closes them'}",
            "a gateway with nothing behind it does this, and a forward whose far end is gone",
            "ask the operator whether the server runs",
        )
    if fault is Fault.HANDSHAKE:
        return bad(
            "handshake",
            "broken",
            broken_off(where, inspection.detail),
            f"it does not serve the name {inspection.name}, or no version of TLS is common to both",
            "check the name with the operator",
        )
    if inspection.offered[:1] == ("h2",) and inspection.version and inspection.alpn != "h2":
        agreed = f"agrees on {inspection.alpn}" if inspection.alpn else "agrees on no protocol"
        return bad(
            "handshake",
            "alpn",
            f"{where} {agreed} over TLS, and gRPC needs h2",
            "an ingress that ends TLS has to be told to pass HTTP/2 on",
            "ask the operator to have it pass gRPC",
        )
    spoken = ", ".join(word for word in (inspection.version or "TLS", inspection.alpn) if word)
    return good("handshake", f"{where} speaks {spoken}", version=inspection.version, alpn=inspection.alpn)


def name(inspection: Inspection, where: str) -> Part:
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
    if own is None:
        return bad(
            "name",
            "other",
            f"{for_others(where, (), wanted)}: {inspection.detail}",
            "another server answers, or it is known by another name",
            f"ask the operator for a certificate with the name {wanted}",
        )
    if not own.names:
        return bad(
            "name",
            "none",
            f"the certificate of {where} has no subjectAltName, only the subject {own.subject}",
            "a name counts only there, and its common name is another anyway",
            f"ask the operator for a certificate with the name {wanted}",
        )
    right = next((known for known in own.names if "*" not in known), own.names[0])
    return bad(
        "name",
        "other",
        for_others(where, own.names, wanted),
        "another server answers, or it is known by another name",
        f"use its name, if it is the right server: {right}",
        f"or ask the operator for a certificate with the name {wanted}",
        names=list(own.names),
    )


def client(inspection: Inspection, where: str) -> Part:
    """Whether the server knows its clients by certificates, and this one."""
    if inspection.fault is not Fault.CLIENT_CERTIFICATE:
        if inspection.identified:
            return good("client", f"{where} takes the client certificate, or asks for none")
        return good("client", f"{where} asks for no client certificate, or does without")
    if inspection.identified:
        return bad(
            "client",
            "refused",
            client_refused(where, True, inspection.detail),
            "it has expired, or an authority signed it that the server does not know",
            "look at it: openssl x509 -noout -subject -issuer -enddate -in FILE",
            "ask the operator for a new one",
        )
    return bad(
        "client",
        "missing",
        client_refused(where, False, inspection.detail),
        "it knows its clients by certificates (mutual TLS)",
        "ask the operator for a certificate and its key, or for an endpoint with tokens",
    )
