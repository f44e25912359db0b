"""A second opinion on a certificate that OpenSSL refuses and kubectl (Go's crypto/x509) takes.

OpenSSL takes the first authority of a name and tries no other, so that a bundle with the old and the new
authority of one subject, and no key identifiers, works in one order only (openssl/openssl#16304); and it goes
by key usages and by Netscape's certificate type, which Go does not look at. The signatures, the dates, the
name, who may sign and the extended key usage are verified here as well, by `cryptography`.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from typing import Any

#: X509_V_ERR_*: a signature does not verify, an authority may not sign, a purpose does not fit.
DOUBTFUL = frozenset([7, 24, 26, 79])

#: X509_V_ERR_CERT_SIGNATURE_FAILURE: the one that comes of the order of authorities alone.
ORDER = 7


def may_differ(error: BaseException) -> bool:
    """Whether another verifier may accept what OpenSSL refused with `error`."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in DOUBTFUL


def accepted(chain: Sequence[bytes], authorities: Iterable[bytes], name: str) -> bool:
    """Whether `chain` (DER, the server's own first) is a server's called `name`, by `authorities` (DER)."""
    from cryptography import x509
    from cryptography.x509 import verification

    if not chain:
        return False
    trusted = []
    for der in authorities:
        try:
            trusted.append(x509.load_der_x509_certificate(der))
        except ValueError:
            continue
    try:
        first, *others = (x509.load_der_x509_certificate(der) for der in chain)
        subject: Any = x509.IPAddress(ipaddress.ip_address(name)) if _is_address(name) else x509.DNSName(name)
        policy = verification.PolicyBuilder().store(verification.Store(trusted))
        policy = policy.extension_policies(
            ca_policy=_policy(x509.BasicConstraints), ee_policy=_policy(x509.SubjectAlternativeName)
        )
        policy.build_server_verifier(subject).verify(first, others)
    except (verification.VerificationError, ValueError):
        return False
    return True


def _policy(required: Any) -> Any:
    """Any extension is let pass; `required` has to be there, and an extended key usage be a server's."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    def serves(_policy: Any, _certificate: Any, usage: Any) -> None:
        wanted = (
            x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,
            x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        )
        if usage is not None and not any(one in usage for one in wanted):
            raise ValueError("it is no server's certificate")

    return (
        ExtensionPolicy.permit_all()
        .require_present(required, Criticality.AGNOSTIC, None)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, serves)
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
