"""The certificate of one endpoint: the cause of a failed handshake first, and who else will not trust it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from gfattach.core.finding import Finding, Probe, Stage, fail
from gfattach.net.inspect import inspect
from gfattach.probes.certificates.files import FILES, KEY
from gfattach.probes.certificates.stores import STORES
from gfattach.probes.certificates.subject import (
    CertificateFileError,
    CertificateInquiry,
    CertificateSubject,
    inspected,
    probe_name,
)
from gfattach.tls import explain
from gfattach.tls.explain_time import validity
from gfattach.tls.explain_trust import trust
from gfattach.tls.inspection import Inspection
from gfattach.tls.part import Part
from gfattach.tls.purpose import Purpose

#: What judges one topic of an inspection: the server as a sentence calls it, and what it is for.
Judge = Callable[[Inspection, str, Purpose], Part]


def _ask_handshake(inquiry: CertificateInquiry) -> Finding:
    subject = inquiry.subject
    try:
        context = subject.verified()
    except CertificateFileError as error:
        return fail("certificates.handshake.file", error.fact, "no handshake is possible", *error.hints)
    found = inspect(
        subject.route,
        subject.name,
        context,
        inquiry.deadline,
        alpn=subject.alpn,
        identified=subject.identified or subject.certificate is not None,
    )
    return explain.handshake(found, subject.where, subject.purpose).finding(
        "certificates", inspection=found.as_json()
    )


def _judging(topic: str, judge: Judge) -> Callable[[CertificateInquiry], Finding]:
    def ask(inquiry: CertificateInquiry) -> Finding:
        subject = inquiry.subject
        return judge(inspected(inquiry), subject.where, subject.purpose).finding("certificates")

    return ask


def _probe(topic: str, question: str, judge: Judge) -> Probe[CertificateSubject]:
    return Probe(
        f"certificates.{topic}",
        question,
        _judging(topic, judge),
        explain.codes("certificates", topic),
        ("certificates.handshake",),
    )


_PROBES: tuple[Probe[CertificateSubject], ...] = (
    FILES,
    KEY,
    Probe(
        "certificates.handshake",
        "is TLS spoken there",
        _ask_handshake,
        {
            **explain.codes("certificates", "handshake"),
            "certificates.handshake.file": "a TLS file cannot be used",
        },
        ("certificates.files", "certificates.key"),
        seconds=12.0,
    ),
    _probe("trust", "is it signed by an authority that is trusted", trust),
    _probe("name", "is the certificate for this name", explain.name),
    _probe("validity", "is it valid now, and for a while", validity),
    _probe("client", "does it take this client", explain.client),
    STORES,
)

_NAMES = {
    Purpose.API_SERVER: "server-tls",
    Purpose.CACHE: "cache-tls",
    Purpose.SUBSTITUTER: "nix-tls",
}

_TITLES = {
    Purpose.API_SERVER: "Certificate of the API server",
    Purpose.CACHE: "Certificate of the Bazel cache",
    Purpose.SUBSTITUTER: "Certificate of the Nix cache",
}


#: What has a stage of its own; a proxy's certificate is met on the path to an API server.
PURPOSES = tuple(_NAMES)


def stage_of(purpose: Purpose) -> Stage[CertificateSubject]:
    """The stage for an endpoint of this purpose. One run may ask several: each has probes of its own name."""
    probes = (
        replace(
            probe,
            name=probe_name(purpose, probe.name),
            needs=tuple(probe_name(purpose, need) for need in probe.needs),
        )
        for probe in _PROBES
    )
    return Stage(_NAMES[purpose], _TITLES[purpose], tuple(probes))


#: For the documentation of codes, which are the same for every purpose.
STAGE = stage_of(Purpose.CACHE)
