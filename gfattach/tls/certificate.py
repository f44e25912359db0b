"""What a certificate says: its subject, its issuer, from when and until when it is valid (RFC 5280).

Nothing is verified here: OpenSSL does that. These are the facts with which a failure is explained.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

_PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----(?P<body>[^-]*)-----END")

_SECONDS_A_DAY = 86400.0


class Certificate(Struct, frozen=True):
    """One certificate. `subject` and `issuer` are names as RFC 4514 writes them, safe to show.

    `names` are the DNS names and addresses of its subjectAltName; `not_before` and `not_after` are in UTC;
    `key` is the kind of its key ("RSA 2048", "EC secp256r1"); `authority` says that it may sign others;
    `self_signed` that it signed itself; `public_key` is its SubjectPublicKeyInfo in hexadecimal, the
    same in every certificate that an authority has of its one key. `above` says that it tells of an
    authority above the one that signed it, or where to fetch that one's certificate: its issuer is no root.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key: str
    authority: bool
    self_signed: bool
    public_key: str
    above: bool = False

    def days_left(self, now: datetime) -> float:
        """Days until it expires, below zero when it has."""
        return (self.not_after - now).total_seconds() / _SECONDS_A_DAY

    def is_for(self, name: str) -> bool:
        """Whether it is for `name`, as RFC 6125 matches: the common name does not count."""
        return any(matches(own, name) for own in self.names)

    def as_json(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "not_before": self.not_before.isoformat(),
            "not_after": self.not_after.isoformat(),
            "key": self.key,
            "authority": self.authority,
            "self_signed": self.self_signed,
            "public_key": self.public_key,
            "above": self.above,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Certificate:
        """The reverse of `as_json`. Raises KeyError and ValueError for what is none."""
        return cls(
            document["subject"],
            document["issuer"],
            tuple(document["names"]),
            datetime.fromisoformat(document["not_before"]),
            datetime.fromisoformat(document["not_after"]),
            document["key"],
            document["authority"],
            document["self_signed"],
            document["public_key"],
            document["above"],
        )


def read_der(der: bytes) -> Certificate:
    """The certificate in `der`. Raises ValueError for what is none, and for one of an unknown kind."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.utils import CryptographyDeprecationWarning
    from cryptography.x509 import UnsupportedGeneralNameType

    # Trust stores hold authorities with a serial number of zero, which cannot be helped here.
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    try:
        return _read(der)
    except (UnsupportedAlgorithm, UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error


def _read(der: bytes) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    found = x509.load_der_x509_certificate(der)
    alternatives: list[str] = []
    authority = above = False
    try:
        extensions = found.extensions
        for extension in extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                wanted = (x509.DNSName, x509.IPAddress)
                alternatives = [_shown(str(n.value)) for n in extension.value if isinstance(n, wanted)]
            elif isinstance(extension.value, x509.BasicConstraints):
                authority = extension.value.ca
            elif isinstance(extension.value, x509.AuthorityInformationAccess):
                fetched = x509.oid.AuthorityInformationAccessOID.CA_ISSUERS
                above = above or any(d.access_method == fetched for d in extension.value)
            elif isinstance(extension.value, x509.AuthorityKeyIdentifier):
                named = extension.value.authority_cert_issuer or ()
                above = above or any(n.value != found.issuer for n in named)
    except x509.DuplicateExtension as error:
        raise ValueError("it names one extension twice") from error
    spki = found.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Certificate(
        subject=_shown(found.subject.rfc4514_string()),
        issuer=_shown(found.issuer.rfc4514_string()),
        names=tuple(alternatives),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        key=_kind(found.public_key()),
        authority=authority,
        self_signed=_signs_itself(found),
        public_key=spki.hex(),
        above=above and found.subject != found.issuer,
    )


def split_pem(pem: bytes) -> tuple[bytes, ...]:
    """The certificates in `pem` as DER, in order; what is no base 64 is left out."""
    found = []
    for match in _PEM.finditer(pem):
        try:
            found.append(base64.b64decode(b"".join(match["body"].split()), validate=True))
        except ValueError:
            continue
    return tuple(found)


def matches(own: str, name: str) -> bool:
    """Whether a name of a certificate covers `name`: `*` stands for one whole label, the first."""
    own, name = own.rstrip(".").casefold(), name.rstrip(".").casefold()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        try:
            return ipaddress.ip_address(own) == address
        except ValueError:
            return False
    if own == name:
        return True
    first, _, rest = own.partition(".")
    label, _, domain = name.partition(".")
    return first == "*" and bool(label) and "." in rest and rest == domain


def missing_issuer(chain: tuple[Certificate, ...]) -> str:
    """The name of the authority that signed `chain` (the server's own first) and is not in it."""
    if not chain:
        return ""
    by_subject = {certificate.subject: certificate for certificate in chain}
    current = chain[0]
    for _ in chain:
        above = by_subject.get(current.issuer)
        if above is None or above is current:
            break
        current = above
    return current.issuer


def holds(ders: Iterable[bytes], authority: Certificate) -> bool:
    """Whether one of these certificates is of the key of `authority`.

    They are not parsed: stores hold certificates that are odd in ways that do not matter here.
    """
    key = bytes.fromhex(authority.public_key)
    return any(key in der for der in ders)


def now() -> datetime:
    """This machine's clock, in UTC."""
    return datetime.now(UTC)


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:200]


def _kind(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")


def _signs_itself(certificate: Any) -> bool:
    if certificate.subject != certificate.issuer:
        return False
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
