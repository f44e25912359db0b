"""Certificates that are right, and wrong in one way each, and servers that show them."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from tests.harness.machine import faulty_servers as faults

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issuer:
    """An authority: its certificate and key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Pair:
    """Files of a certificate (with what is served behind it) and its key."""

    certificate: Path
    key: Path


def new_key(kind: str = "ec") -> Any:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def sign(
    subject: str,
    key: Any,
    issuer: Issuer | None,
    *,
    authority: bool = False,
    names: tuple[str, ...] = (),
    start: timedelta = -DAY,
    end: timedelta = 60 * DAY,
    fetched: bool = False,
) -> x509.Certificate:
    """A certificate; without an `issuer` it signs itself. `start` and `end` count from now."""
    subject_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(issuer.certificate.subject if issuer else subject_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if fetched:
        where = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.invalid/i")
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    if names:
        builder = builder.add_extension(faults.alternative_names(names), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


class Pki:
    """A root, an authority between, one that is none, and what they sign, as files in `directory`."""

    def __init__(self, directory: Path, root: str = "root of the tests") -> None:
        self.directory = directory
        key = new_key()
        self.root = Issuer(sign(root, key, None, authority=True, end=3650 * DAY), key)
        between = new_key()
        self.between = Issuer(
            sign("intermediate of the tests", between, self.root, authority=True, end=365 * DAY), between
        )
        leaf = new_key()
        self.leaf = Issuer(sign("no authority", leaf, self.root), leaf)
        self.ca = self.write("root.pem", self.root.pem)

    def write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path

    def issue(
        self,
        *names: str,
        kind: str = "ec",
        issuer: Issuer | None = None,
        chain: tuple[Issuer, ...] = (),
        self_signed: bool = False,
        form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
        password: bytes | None = None,
        subject: str = "",
        **dates: Any,
    ) -> Pair:
        """A certificate for `names` and its key; `chain` is what is served behind it."""
        key = new_key(kind)
        by = None if self_signed else issuer or self.root
        made = sign(subject or (names[0] if names else "nobody"), key, by, names=names, **dates)
        stem = f"{len(list(self.directory.iterdir()))}"
        content = made.public_bytes(serialization.Encoding.PEM) + b"".join(i.pem for i in chain)
        protection = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        pem = key.private_bytes(serialization.Encoding.PEM, form, protection)
        return Pair(self.write(f"{stem}.pem", content), self.write(f"{stem}.key", pem))


def server_context(
    pair: Pair,
    *,
    alpn: tuple[str, ...] = (),
    clients: Path | None = None,
    optional: bool = False,
    newest: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """A server's context; `clients` is the authority of the certificates that it wants of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    if newest is not None:
        context.maximum_version = newest
    return context


@contextlib.contextmanager
def answering(
    context: ssl.SSLContext, clock: datetime | None = None, path: Path | None = None
) -> Iterator[int]:
    """A TLS server that answers whatever it is asked, with a Date; on a unix socket at `path`, if given."""
    said = (clock or datetime.now(UTC)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    words = f"HTTP/1.1 404 Not Found\r\nDate: {said}\r\nContent-Length: 0\r\n\r\n".encode()

    def handle(connection: Any) -> None:
        with context.wrap_socket(connection, server_side=True) as session:
            if session.recv(65536):
                session.sendall(words)

    with faults.talking(handle, path) as port:
        yield port


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """The authority that is trusted; a module that uses it imports it by name."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority that nobody trusts, of another name."""
    return Pki(tmp_path_factory.mktemp("others"), "root of others")
