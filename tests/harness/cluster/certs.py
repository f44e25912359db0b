"""The bed's certificate authority: API server, nodes and users. Keys are EC P-256, for speed."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Backdated, so that a client whose clock is a little slow still accepts it.
_BACKDATED = datetime.timedelta(minutes=5)
LIFETIME = datetime.timedelta(days=2)
#: Of the authority and of servers: far enough from their end that nobody is warned of it.
SERVERS_LIFETIME = datetime.timedelta(days=60)

# The API server reads service account keys in this form only, not in PKCS #8.
_KEY_FORMAT = serialization.PrivateFormat.TraditionalOpenSSL


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, PEM, on disk."""

    certificate: Path
    key: Path


def new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A new private key, written to `path` (0600)."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, _KEY_FORMAT, serialization.NoEncryption()))
    return key


class CertificateAuthority:
    """Signs serving and client certificates; its own is `certificate`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "ca.crt"
        self._key = new_key(directory / "ca.key")
        self._name = _name("bed")
        unsigned = (
            _builder(self._name, self._name, self._key.public_key(), SERVERS_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
        )
        self._write(unsigned, self.certificate)

    def server(self, name: str, dns: tuple[str, ...] = ()) -> KeyPair:
        """A serving certificate for 127.0.0.1, localhost and `dns`."""
        names: list[x509.GeneralName] = [x509.DNSName(n) for n in ("localhost", *dns)]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        return self._issue(name, _name(name), ExtendedKeyUsageOID.SERVER_AUTH, SERVERS_LIFETIME, names)

    def client(
        self, user: str, groups: tuple[str, ...] = (), lifetime: datetime.timedelta = LIFETIME
    ) -> KeyPair:
        """A client certificate: common name is the user, organisations are the groups.

        A negative `lifetime` gives one that has expired.
        """
        return self._issue(f"user-{user}", _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, lifetime, [])

    def _issue(
        self,
        file: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        lifetime: datetime.timedelta,
        names: list[x509.GeneralName],
    ) -> KeyPair:
        pair = KeyPair(self._directory / f"{file}.crt", self._directory / f"{file}.key")
        key = new_key(pair.key)
        unsigned = (
            _builder(subject, self._name, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if names:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._write(unsigned, pair.certificate)
        return pair

    def _write(self, unsigned: x509.CertificateBuilder, path: Path) -> None:
        signed = unsigned.sign(self._key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str, organizations: tuple[str, ...] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + lifetime) - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
