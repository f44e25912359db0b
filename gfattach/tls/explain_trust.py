"""Which authority signed a TLS server's certificate, and which is missing where none is trusted."""

from __future__ import annotations

from gfattach.tls.certificate import missing_issuer
from gfattach.tls.fault import Fault
from gfattach.tls.inspection import Inspection
from gfattach.tls.part import Part, bad, good, warned
from gfattach.tls.purpose import Purpose

#: Certificates that a gateway makes up when it has none for a name.
_MADE_UP = ("Kubernetes Ingress Controller Fake Certificate", "TRAEFIK DEFAULT CERT")

#: X509_V_ERR_*: an issuer that cannot be found, or whose key is another.
_NO_ISSUER = frozenset([0, 2, 7, 18, 19, 20, 21, 27, 30])


def trust(inspection: Inspection, where: str, purpose: Purpose) -> Part:
    """Which authority signed the certificate, or which is missing."""
    chain = inspection.chain
    if inspection.unchecked:
        return warned(
            "trust",
            "unchecked",
            f"the certificate of {where} is not verified: the check is switched off",
            "whoever is on the path there can take the server's place, and what is sent to it",
            "have the check switched on again (insecure-skip-tls-verify), with the authority's file",
        )
    if inspection.fault is not Fault.UNTRUSTED:
        anchor = inspection.anchor
        by = anchor.subject if anchor is not None else "an authority that is trusted"
        held = anchor.as_json() if anchor is not None else None
        return good("trust", f"the certificate of {where} is signed by {by}", anchor=held)
    missing = missing_issuer(chain)
    data = {"missing": missing, "detail": inspection.detail}
    if not chain and inspection.verify_code in _NO_ISSUER:
        return bad(
            "trust",
            "authority-missing",
            f"the certificate of {where} is not trusted: {inspection.detail}",
            "its authority is not the one that was given, or a TLS-intercepting proxy is on the path",
            purpose.authority_hint,
            **data,
        )
    if inspection.verify_code not in _NO_ISSUER:
        return bad(
            "trust",
            "chain",
            f"the certificate of {where} is not trusted: {inspection.detail}",
            "the chain from it to a trusted authority does not hold",
            "ask the operator for a chain without this",
            **data,
        )
    own = chain[0]
    made_up = next((word for word in _MADE_UP if word in own.subject), None)
    if made_up is not None:
        return bad(
            "trust",
            "self-signed",
            f"{where} has no certificate of its own: its gateway shows {made_up!r}",
            f"the gateway has no certificate for {inspection.name}, or cannot read it",
            f"ask the operator to give its ingress a certificate for {inspection.name}",
            **data,
        )
    if own.self_signed:
        return bad(
            "trust",
            "self-signed",
            f"the certificate of {where} is self-signed ({own.subject}), and not in the trust store",
            "a client takes it only where its certificate was added as an authority's",
            purpose.authority_hint,
            **data,
        )
    if inspection.namesake:
        return bad(
            "trust",
            "authority-renewed",
            f"the certificate of {where} is signed by {missing}, and the {missing} that is trusted here "
            "has another key",
            "the cluster was made anew, or its authority was, since the file was fetched",
            "fetch the authority's file again from where it came, or ask the operator for it",
            purpose.authority_hint,
            **data,
        )
    if len(chain) == 1 and own.above:
        return bad(
            "trust",
            "intermediate-missing",
            f"{where} sends its own certificate alone, and not that of {missing}, who signed it",
            "clients know the root only, and do not fetch what is between",
            "ask the operator to serve the full chain (fullchain.pem, tls.crt with all certificates)",
            **data,
        )
    between: tuple[str, ...] = ()
    if len(chain) == 1:
        between = (f"if {missing} is no root, the server has to send its certificate too: ask the operator",)
    return bad(
        "trust",
        "authority-missing",
        f"the certificate of {where} is signed by {missing}, which is not trusted here",
        "a client takes a certificate only from authorities that it was told of",
        purpose.authority_hint,
        *between,
        **data,
    )
